//! Replies that a browser saves as a file (RFC 6266).

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Response;
use crate::http::{cut_file_name, is_unprintable};

/// What an extended value must encode: all but `attr-char` (RFC 8187 §3.2.1).
const EXTENDED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

impl Response<'_> {
    /// Makes a browser save the content as a file of this name (`Content-Disposition: attachment`, RFC 6266).
    ///
    /// The name may be any text, also that of a user: of a path only the last segment counts, characters that cannot be
    /// shown become `_`, and a name of more than 200 bytes is cut before its extension. A name with other than plain
    /// ASCII characters is sent twice: as it is, in UTF-8 (RFC 8187), and for old clients with a `_` for each such
    /// character. Without a name, the browser takes one from the URL.
    ///
    /// ```
    /// use monoloop::{Router, TestClient};
    ///
    /// let mut app = Router::new(());
    /// app.get("/report", |_, _, res| res.attachment("report.csv").header("Content-Type", "text/csv").send("a,b\n"));
    /// app.get("/facture", |_, _, res| res.attachment("Facture n\u{b0} 7.pdf").send("%PDF-"));
    ///
    /// let mut client = TestClient::new(app);
    /// let reply = client.get("/report").send();
    /// assert_eq!(reply.header("Content-Disposition"), Some("attachment; filename=\"report.csv\""));
    /// let reply = client.get("/facture").send();
    /// let both = "attachment; filename=\"Facture n_ 7.pdf\"; filename*=UTF-8''Facture%20n%C2%B0%207.pdf";
    /// assert_eq!(reply.header("Content-Disposition"), Some(both));
    /// ```
    #[doc(alias("download", "content-disposition", "filename"))]
    pub fn attachment(self, name: &str) -> Self {
        self.header("Content-Disposition", disposition(name))
    }
}

/// The value of the field.
fn disposition(name: &str) -> Cow<'static, str> {
    let name = file_name(name);
    if name.is_empty() {
        return Cow::Borrowed("attachment");
    }
    // Clients disagree on a quote and on a percent sign within quotes (RFC 6266, appendix D).
    let is_plain = |c: char| matches!(c, ' '..='~') && !matches!(c, '"' | '%');
    let fallback: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    let mut value = format!("attachment; filename=\"{fallback}\"");
    if fallback != name {
        value.push_str("; filename*=UTF-8''");
        value.extend(utf8_percent_encode(&name, EXTENDED));
    }
    Cow::Owned(value)
}

/// The last segment of a path of any system, without what cannot be shown. It is empty if nothing is left that could be
/// a name (RFC 6266 §4.3). Proxies and clients refuse a head that is too long, often one of more than 8 KiB.
fn file_name(path: &str) -> String {
    let segment = path.rsplit(['/', '\\']).next().unwrap_or_default().trim_matches(' ');
    match segment {
        "." | ".." => String::new(),
        name => cut_file_name(name).chars().map(|c| if is_unprintable(c) { '_' } else { c }).collect(),
    }
}
