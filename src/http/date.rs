use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The current date as HTTP writes it (IMF-fixdate, RFC 9110 §5.6.7), formatted once a second.
#[derive(Debug)]
pub(crate) struct DateText {
    second: u64,
    text: String,
}

impl DateText {
    pub(crate) fn new(now: SystemTime) -> Self {
        let second = unix_second(now);
        Self { second, text: http_date(second) }
    }

    /// Takes the new time and returns whether the text has changed.
    pub(crate) fn update(&mut self, now: SystemTime) -> bool {
        let second = unix_second(now);
        if second == self.second {
            return false;
        }
        *self = Self { second, text: http_date(second) };
        true
    }

    /// Seconds of Unix time.
    pub(crate) const fn second(&self) -> u64 {
        self.second
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

fn unix_second(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Seconds of Unix time as an HTTP date.
pub(crate) fn http_date(second: u64) -> String {
    // httpdate panics on a date after the year 9999, so a later clock stays at its last second.
    const YEAR_9999: u64 = 253_402_300_799;
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second.min(YEAR_9999)))
}

/// An HTTP date in any of its three forms (RFC 9110 §5.6.7), as seconds of Unix time.
pub(crate) fn parse_http_date(date: &str) -> Option<u64> {
    httpdate::parse_http_date(date).ok().map(unix_second)
}

/// Day and time of a second of Unix time, as `1994-11-06` and `08:49:37` (ISO 8601). Both are cut out of the HTTP date.
pub(crate) fn iso_date(second: u64) -> (String, String) {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    // Sun, 06 Nov 1994 08:49:37 GMT
    let date = http_date(second);
    let month = MONTHS.iter().position(|month| *month == &date[8..11]).unwrap_or(0) + 1;
    (format!("{}-{month:02}-{}", &date[12..16], &date[5..7]), date[17..25].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_changes_once_a_second() {
        let at = |millis| UNIX_EPOCH + Duration::from_millis(millis);
        let mut date = DateText::new(at(784_111_777_000));
        assert_eq!(date.as_str(), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert!(!date.update(at(784_111_777_999)));
        assert!(date.update(at(784_111_778_000)));
        assert_eq!(date.as_str(), "Sun, 06 Nov 1994 08:49:38 GMT");
    }

    #[test]
    fn a_clock_beyond_the_calendar_does_not_panic() {
        assert_eq!(http_date(u64::MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
        assert_eq!(DateText::new(UNIX_EPOCH - Duration::from_secs(1)).as_str(), "Thu, 01 Jan 1970 00:00:00 GMT");
    }

    #[test]
    fn an_iso_date_has_its_day_and_its_time() {
        assert_eq!(iso_date(784_111_777), ("1994-11-06".to_owned(), "08:49:37".to_owned()));
        assert_eq!(iso_date(0), ("1970-01-01".to_owned(), "00:00:00".to_owned()));
        assert_eq!(iso_date(1_735_689_599).0, "2024-12-31");
    }
}
