//! What httparse says of each beginning of a head.
//!
//!     cargo run -q --bin see_prefixes

use httparse::{EMPTY_HEADER, Request, Status};

fn answer(bytes: &[u8]) -> String {
    let mut fields = [EMPTY_HEADER; 16];
    match Request::new(&mut fields).parse(bytes) {
        Ok(Status::Partial) => "partial".to_owned(),
        Ok(Status::Complete(length)) => format!("complete, {length} bytes"),
        Err(error) => format!("wrong: {error}"),
    }
}

fn main() {
    for whole in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /next",
        "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    ] {
        println!("{whole:?}");
        let mut before = String::new();
        for length in 0..=whole.len() {
            let now = answer(&whole.as_bytes()[..length]);
            if now != before {
                println!("{length:>6} bytes: {now}");
                before = now;
            }
        }
    }
}
