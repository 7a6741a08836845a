//! What of a [representation](Representation) a request gets: all, parts, or only the word that the client has it
//! already (RFC 9110 §13 to §15).

use std::hash::{BuildHasher, RandomState};

use super::representation::{Line, Representation};
use super::{Response, Rest, Sent};
use crate::http::conditional::{Conditions, Validators, Verdict};
use crate::http::range::{self, Part, Wanted};
use crate::http::{Error, Method, Result, parse_http_date};
use crate::wire::reply::{BodyLength, ContentType};

impl Response<'_> {
    /// Finishes with a representation, or as much of it as `conditions` ask for. Field lines that were set before stay.
    ///
    /// # Errors
    /// 412 and 416, or a mistake that was made with the head.
    #[inline]
    pub(crate) fn represent(self, conditions: &Conditions<'_>, selected: &Representation) -> Result<Sent> {
        if !conditions.is_plain() || !self.reply.draft.is_ordinary() || self.names_any(&selected.lines) {
            return self.represent_in_part(conditions, selected);
        }
        let Self { reply, output } = self;
        let inline = output.inline();
        reply.head().encode_ordinary_opening(inline);
        inline.extend_from_slice(selected.rendered.as_bytes());
        selected.push(selected.whole(), output);
        Ok(reply.finish(selected.length))
    }

    /// Whether a line with one of these names was set.
    #[inline]
    fn names_any(&self, lines: &[Line]) -> bool {
        let fields = &self.reply.draft.fields;
        !fields.text.is_empty() && lines.iter().any(|line| fields.get(line.name).is_some())
    }

    fn represent_in_part(self, conditions: &Conditions<'_>, selected: &Representation) -> Result<Sent> {
        let draft = &mut self.reply.draft;
        draft.seal()?;
        let own = self.own_validators();
        let validators = own.as_ref().map_or(selected.validators(), |own| own.over(selected.validators()));
        // Conditions are only for a request that would succeed without them (§13.2.1), and ranges only for a 200. A
        // method other than GET and HEAD has acted already, so its conditions cannot be evaluated here.
        let draft = &self.reply.draft;
        let method = draft
            .request
            .method
            .filter(|method| draft.rare.status == 200 && matches!(method, Method::Get | Method::Head));
        match method.map_or(Verdict::Perform, |method| conditions.evaluate(method, &validators)) {
            Verdict::Perform => {}
            Verdict::NotModified => return Ok(self.not_modified(selected)),
            Verdict::Failed => return Err(selected.refuse(Error::new(412, "Precondition failed"))),
        }
        let wanted = match method {
            Some(Method::Get) if conditions.allow_range(&validators) => {
                range::wanted(&conditions.range, selected.length)
            }
            _ => Wanted::Whole,
        };
        match wanted {
            Wanted::Whole => self.send_parts(selected, &[(String::new(), selected.whole())], ""),
            Wanted::Nothing => {
                let error = selected.refuse(Error::new(416, "Range not satisfiable"));
                Err(error.with_header("Content-Range", format!("bytes */{}", selected.length)))
            }
            Wanted::Parts(parts) => self.send_some(selected, &parts),
        }
    }

    /// What the handler has set in place of the validators of the file.
    fn own_validators(&self) -> Option<OwnValidators> {
        let fields = &self.reply.draft.fields;
        let (tag, modified) = (fields.get("etag"), fields.get("last-modified").and_then(parse_http_date));
        let tag = tag.map(|tag| tag.strip_prefix("W/").map_or((tag.to_owned(), false), |tag| (tag.to_owned(), true)));
        (tag.is_some() || modified.is_some()).then_some(OwnValidators { tag, modified })
    }

    fn not_modified(self, selected: &Representation) -> Sent {
        let Self { reply, output } = self;
        reply.draft.rare.status = 304;
        reply.draft.fields.remove("content-length");
        selected.give_lines(&mut reply.draft.fields, true);
        reply.encode_head(output, ContentType::NONE, BodyLength::Known(0));
        reply.finish(0)
    }

    /// Sends one range or several, as a 206.
    fn send_some(self, selected: &Representation, parts: &[Part]) -> Result<Sent> {
        let draft = &mut self.reply.draft;
        draft.rare.status = 206;
        // These fields describe the whole content, and not a part of it.
        draft.fields.remove("content-length");
        draft.fields.remove("content-range");
        match *parts {
            [part] => {
                draft.set_field("Content-Range", &content_range(part, selected.length), true);
                self.send_parts(selected, &[(String::new(), part)], "")
            }
            _ => self.send_multipart(selected, parts),
        }
    }

    /// Sends `multipart/byteranges` (RFC 9110 §14.6).
    fn send_multipart(self, selected: &Representation, parts: &[Part]) -> Result<Sent> {
        // Nobody can know it in advance, so nobody can have put it into the file.
        let random = RandomState::new();
        let boundary = format!("{:016x}{:016x}", random.hash_one(1), random.hash_one(2));
        let draft = &mut self.reply.draft;
        let stored = selected.lines.iter().find(|line| line.name == "Content-Type").map(|line| line.value.as_str());
        let content_type = draft.fields.get("content-type").or(stored);
        let content_type = content_type.map_or(String::new(), |value| format!("Content-Type: {value}\r\n"));
        let head = |&part: &Part| {
            let range = content_range(part, selected.length);
            (format!("\r\n--{boundary}\r\n{content_type}Content-Range: {range}\r\n\r\n"), part)
        };
        let parts: Vec<_> = parts.iter().map(head).collect();
        draft.set_field("Content-Type", &format!("multipart/byteranges; boundary={boundary}"), true);
        self.send_parts(selected, &parts, &format!("\r\n--{boundary}--\r\n"))
    }

    /// Sends parts, each after a head of its own, and then `end`.
    fn send_parts(self, selected: &Representation, parts: &[(String, Part)], end: &str) -> Result<Sent> {
        let Self { reply, output } = self;
        let length = parts.iter().map(|(head, part)| head.len() as u64 + part.len()).sum::<u64>() + end.len() as u64;
        reply.draft.check_length(length)?;
        selected.give_lines(&mut reply.draft.fields, false);
        let announced = if reply.draft.rare.status == 205 { 0 } else { length };
        reply.encode_head(output, ContentType::NONE, BodyLength::Known(announced));
        if !reply.draft.has_content() {
            return Ok(reply.finish(0));
        }
        for (head, part) in parts {
            output.inline().extend_from_slice(head.as_bytes());
            selected.push(*part, output);
        }
        output.inline().extend_from_slice(end.as_bytes());
        Ok(reply.finish(length))
    }

    /// The time of day in seconds of Unix time. It lags behind the clock by at most a second.
    pub(crate) const fn unix_second(&self) -> u64 {
        self.reply.unix_second()
    }

    /// Makes the loop run the timers of the application in this tick, because one was set.
    pub(crate) fn ask_timers(&self) {
        self.reply.ask_timers();
    }

    /// Leaves a representation to be finished when the handler has returned, as the request asks for it.
    ///
    /// # Errors
    /// A mistake that was made with the head.
    pub(crate) fn leave_file(self, selected: Representation) -> Result<Sent> {
        self.reply.draft.seal()?;
        self.reply.set_rest(Rest::File(Box::new(selected)));
        Ok(Sent::new())
    }
}

/// Validators that the handler has set in place of those of the file. They count, because they are sent.
struct OwnValidators {
    /// The tag without its mark of weakness, and whether it is weak.
    tag: Option<(String, bool)>,
    modified: Option<u64>,
}

impl OwnValidators {
    fn over<'a>(&'a self, file: Validators<'a>) -> Validators<'a> {
        let (tag, weak) = self.tag.as_ref().map_or((file.tag, file.weak), |(tag, weak)| (tag, *weak));
        Validators { tag, weak, modified: self.modified.or(file.modified) }
    }
}

fn content_range(part: Part, length: u64) -> String {
    format!("bytes {}-{}/{length}", part.start, part.end - 1)
}
