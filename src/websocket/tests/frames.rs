use crate::websocket::assemble::Limits;
use crate::websocket::decoder::{Decoder, Event};

#[test]
fn smoke() {
    let limits = Limits { max_message: 1000, max_fragments: 4, deflate: false };
    let mut decoder = Decoder::default();
    let mut input = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x01\x80\0\0\0\0\x80\x81\0\0\0\0a";
    let (used, event) = decoder.next(&mut input, &limits).unwrap();
    assert_eq!((used, event), (11, Some(Event::Text("Hello"))));
    input[11] = 0x01;
    let (used, event) = decoder.next(&mut input[11..], &limits).unwrap();
    assert_eq!((used, event), (13, Some(Event::Text("a"))));
    assert_eq!(size_of::<Decoder>(), 16);
}
