//! What a client would rather have: a page or JSON (RFC 9110 §12.5.1).

use monoloop::Request;

/// Whether the client prefers HTML to JSON, by the `Accept` of its request. A client that has no preference does not
/// prefer HTML: it may have sent no `Accept`, or `*/*`, as curl does.
pub(super) fn prefers_html(req: &Request<'_>) -> bool {
    let (mut html, mut json) = (Fit::default(), Fit::default());
    let lines = req.headers().all("accept").filter_map(|line| std::str::from_utf8(line).ok());
    for member in lines.flat_map(|line| split(line, ',')) {
        html.consider(member, "text", "html");
        json.consider(member, "application", "json");
    }
    html.weight > json.weight
}

/// How well the members of an `Accept` that were seen so far fit a media type.
#[derive(Default)]
struct Fit {
    /// Of the closest member: 1 for `*/*`, 2 for `text/*`, 3 for `text/html`.
    closeness: u8,
    /// Its weight in thousandths. 0 means that the client does not accept the type.
    weight: u16,
}

impl Fit {
    /// Takes the weight of a member that is closer than those before it. Of members that are equally close, the highest
    /// weight counts. A malformed member is skipped, and so is one that asks for a parameter: both types have none
    /// that a client could choose.
    fn consider(&mut self, member: &str, kind: &str, subkind: &str) {
        let mut pieces = split(member, ';').map(str::trim);
        let Some((first, second)) = pieces.next().and_then(|range| range.split_once('/')) else { return };
        let closeness = match (first, second) {
            ("*", "*") => 1,
            (first, "*") if first.eq_ignore_ascii_case(kind) => 2,
            (first, second) if first.eq_ignore_ascii_case(kind) && second.eq_ignore_ascii_case(subkind) => 3,
            _ => return,
        };
        let mut weight = 1000;
        if let Some(parameter) = pieces.find(|piece| !piece.is_empty() && !piece.eq_ignore_ascii_case("charset=utf-8"))
        {
            // What comes after the weight does not belong to the media type, and no such extension is known.
            let value = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="));
            let Some(given) = value.and_then(thousandths) else { return };
            weight = given;
        }
        if closeness > self.closeness {
            *self = Self { closeness, weight };
        } else if closeness == self.closeness {
            self.weight = self.weight.max(weight);
        }
    }
}

/// Splits a field value where `at` occurs outside quoted strings (RFC 9110 §5.6.4).
fn split(text: &str, at: char) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(move |c| {
        let splits = c == at && !is_quoted;
        is_quoted ^= c == '"' && !is_escaped;
        is_escaped = c == '\\' && is_quoted && !is_escaped;
        splits
    })
}

/// Reads a weight: `( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )` (RFC 9110 §12.4.2).
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction: u16 = format!("{fraction:0<3}").parse().ok()?;
    match (whole, fraction) {
        ("0", fraction) => Some(fraction),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::prefers_html;
    use monoloop::{Router, TestClient};

    #[test]
    fn a_client_gets_what_it_prefers() {
        let table: &[(&[&str], bool)] = &[
            // Browsers, and curl, which asks for anything.
            (&["text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"], true),
            (&["*/*"], false),
            (&[], false),
            (&[""], false),
            // The weight counts, not the order.
            (&["text/html"], true),
            (&["TEXT/HTML"], true),
            (&["text/html, application/json"], false),
            (&["application/json;q=0.9, text/html"], true),
            (&["text/html;q=0.9, application/json"], false),
            (&["text/html;q=0.002, application/json;q=0.001"], true),
            (&["text/html ; Q=0.5 , application/json ; q=0.400"], true),
            (&["application/json;q=0.5", "text/html;q=0.6"], true),
            (&["text/html;q=0"], false),
            (&["text/html;q=0, */*"], false),
            (&["application/json;q=0, */*"], true),
            // The closest member counts, not the highest weight.
            (&["text/*"], true),
            (&["text/*, */*"], false),
            (&["text/*, */*;q=0.1"], true),
            (&["text/*, text/html;q=0.1, */*;q=0.2"], false),
            (&["application/*;q=0.3, */*;q=0.4"], true),
            (&["text/html;q=0.1, text/html;q=0.3, */*;q=0.2"], true),
            // Parameters.
            (&["text/html;charset=utf-8"], true),
            (&["text/html;charset=UTF-8;q=0.1, application/json"], false),
            (&["text/html;level=1"], false),
            (&["text/html;q=1;extension=yes"], true),
            (&["application/json;profile=\"a,text/html;q=1\";q=0.1"], false),
            (&["text/plain;x=\"\\\",text/html,\""], false),
            // Malformed members.
            (&["text/html;q=2"], false),
            (&["text/html;q=0.1234"], false),
            (&["text/html;q="], false),
            (&["text/html;q=-1, text/html;q=0.1"], true),
            (&["html", "*", "text", "/", "*/html"], false),
            (&["text/html;"], true),
        ];
        let mut app = Router::new(());
        app.get("/", |(), req, res| res.text(if prefers_html(req) { "html" } else { "json" }));
        let mut client = TestClient::new(app);
        for (lines, expected) in table {
            let request = lines.iter().fold(client.get("/"), |request, line| request.header("Accept", line));
            assert_eq!(request.send().text() == "html", *expected, "of {lines:?}");
        }
    }
}
