//! WebSockets in memory.

use std::fmt;

use super::pipe::Wire;
use super::reply::Extent;
use super::{Connected, TestClient, TestReply};
use crate::exchange::{CloseReason, Service};
use crate::websocket::Message;

/// A WebSocket that a [`TestClient`] is about to open.
#[must_use = "it has not been opened"]
pub struct TestHandshake<'c, A> {
    client: &'c mut TestClient<A>,
    head: String,
}

/// The client's end of a WebSocket in memory: see [`TestClient::websocket`].
///
/// Each socket has a connection of its own, so a test can have many at a time. The methods that make the server work
/// need its client.
#[derive(Debug)]
pub struct TestSocket {
    connected: Connected,
    /// The content of a message whose last frame has not come, and whether it is text.
    partial: Option<(bool, Vec<u8>)>,
    /// The reply with which the server has accepted it.
    reply: TestReply,
}

/// What a server has sent on a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TestMessage {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// A ping with its payload.
    Ping(Vec<u8>),
    /// A pong with its payload.
    Pong(Vec<u8>),
    /// A Close frame with its code, if it has one, and its reason.
    Close(Option<u16>, String),
}

/// The key of each handshake: the example of RFC 6455 §1.3. A server must not care.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// The key that masks each frame. It need not be secret in a test.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

impl<A: Service> TestClient<A> {
    /// Asks for a WebSocket, on a new connection. The handshake can be completed and then
    /// [opened](TestHandshake::open).
    ///
    /// ```
    /// # use monoloop::{Result, Router, TestClient};
    /// # use monoloop::websocket::{Message, Room, Slow, Socket, WebSocket};
    /// # struct Chat;
    /// # impl WebSocket<Room> for Chat {
    /// #     fn open(&mut self, room: &mut Room, ws: &mut Socket<'_>) -> Result<()> {
    /// #         room.join(ws);
    /// #         Ok(())
    /// #     }
    /// #     fn message(&mut self, room: &mut Room, message: Message<'_>, _: &mut Socket<'_>) -> Result<()> {
    /// #         room.send(message);
    /// #         Ok(())
    /// #     }
    /// # }
    /// # let mut app = Router::new(Room::new(Slow::Drop));
    /// # app.websocket("/chat", |_, _, offer| Ok((offer, Chat)));
    /// use monoloop::testing::TestMessage;
    ///
    /// let mut client = TestClient::new(app);
    /// let mut ann = client.websocket("/chat").open();
    /// let mut bob = client.websocket("/chat").open();
    /// ann.send(&mut client, "hello");
    /// assert_eq!(bob.next(), Some(TestMessage::Text("hello".to_owned())));
    /// bob.close(&mut client, 1000, "bye");
    /// assert_eq!(bob.next(), Some(TestMessage::Close(Some(1000), String::new())));
    /// ann.cut(&mut client);
    /// assert!(client.app().state().is_empty());
    /// ```
    #[cfg_attr(docsrs, doc(cfg(feature = "websocket")))]
    pub fn websocket(&mut self, target: &str) -> TestHandshake<'_, A> {
        let head = format!(
            "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{}",
            self.cookie_line(target, Vec::new())
        );
        TestHandshake { client: self, head }
    }
}

impl<A: Service> TestHandshake<'_, A> {
    /// Adds a field line, for example `Origin`. Name and value are sent as they are.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.head += &format!("{name}: {value}\r\n");
        self
    }

    /// Offers a subprotocol, after those that were offered before.
    pub fn protocol(self, name: &str) -> Self {
        self.header("Sec-WebSocket-Protocol", name)
    }

    /// Opens the socket.
    ///
    /// # Panics
    /// If the server refuses.
    #[track_caller]
    pub fn open(self) -> TestSocket {
        match self.try_open() {
            Ok(socket) => socket,
            Err(reply) => panic!("the server refuses the WebSocket: {reply:?}"),
        }
    }

    /// Opens the socket.
    ///
    /// # Errors
    /// The reply of a server that refuses.
    ///
    /// # Panics
    /// If there is no reply, or the server drains.
    #[track_caller]
    pub fn try_open(self) -> Result<TestSocket, TestReply> {
        let Self { client, head } = self;
        let connected = client.open_link();
        client.act_on(&connected, |wire| wire.inbound.extend(head.as_bytes().iter().chain(b"\r\n")));
        let (reply, len) = {
            let wire = connected.link.wire();
            let Some(parsed) = TestReply::parse(&wire.outbound, Extent::Whole) else { panic!("no reply: {wire:?}") };
            (parsed.reply, parsed.len)
        };
        connected.link.wire_mut().outbound.drain(..len);
        match reply.status() {
            101 => Ok(TestSocket { connected, partial: None, reply }),
            _ => Err(reply),
        }
    }
}

impl TestSocket {
    // ---- to the server ----------------------------------------------------------------------------------------------

    /// Sends a message, and lets the server do all that it can do with it.
    pub fn send<'m, A: Service>(&mut self, client: &mut TestClient<A>, message: impl Into<Message<'m>>) {
        let message = message.into();
        self.frame(client, true, if message.as_text().is_some() { 1 } else { 2 }, message.as_bytes());
    }

    /// Sends a value as JSON, in a text message.
    ///
    /// # Panics
    /// If it cannot be serialised.
    #[cfg(feature = "json")]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    #[track_caller]
    pub fn send_json<T: serde::Serialize + ?Sized, A: Service>(&mut self, client: &mut TestClient<A>, value: &T) {
        match serde_json::to_string(value) {
            Ok(text) => self.send(client, &text),
            Err(error) => panic!("the value is not sent: {error}"),
        }
    }

    /// Sends a ping.
    pub fn ping<A: Service>(&mut self, client: &mut TestClient<A>, payload: &[u8]) {
        self.frame(client, true, 9, payload);
    }

    /// Sends a pong.
    pub fn pong<A: Service>(&mut self, client: &mut TestClient<A>, payload: &[u8]) {
        self.frame(client, true, 10, payload);
    }

    /// Sends a Close frame. The server answers one, and closes its side of the connection. The connection has
    /// [ended](Self::ended) when the client closes its side, too: see [`half_close`](Self::half_close).
    pub fn close<A: Service>(&mut self, client: &mut TestClient<A>, code: u16, reason: &str) {
        self.frame(client, true, 8, &[&code.to_be_bytes(), reason.as_bytes()].concat());
    }

    /// Sends a frame, whether or not it is allowed: `fin` in the last one of its message, and the opcode of RFC 6455
    /// §11.8.
    pub fn frame<A: Service>(&mut self, client: &mut TestClient<A>, fin: bool, opcode: u8, payload: &[u8]) {
        let mut frame = vec![u8::from(fin) << 7 | opcode];
        match payload.len() {
            len @ ..126 => frame.push(0x80 | len as u8),
            len @ ..0x1_0000 => {
                frame.push(0x80 | 126);
                frame.extend((len as u16).to_be_bytes());
            }
            len => {
                frame.push(0x80 | 127);
                frame.extend((len as u64).to_be_bytes());
            }
        }
        frame.extend(MASK);
        frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.write(client, &frame);
    }

    /// Sends bytes, which need not be a frame.
    pub fn write<A: Service>(&mut self, client: &mut TestClient<A>, bytes: &[u8]) {
        client.act_on(&self.connected, |wire| wire.inbound.extend(bytes));
    }

    /// Sets how many more bytes the kernel takes from the server before the client has to read: see
    /// [`TestClient::set_window`].
    pub fn set_window<A: Service>(&mut self, client: &mut TestClient<A>, bytes: usize) {
        client.act_on(&self.connected, |wire| wire.window = bytes);
    }

    /// Half-closes the connection: no more bytes come from the client. A good client does this when both sides have
    /// sent a Close frame. Without Close frames, it is a client that leaves without a goodbye.
    pub fn half_close<A: Service>(&mut self, client: &mut TestClient<A>) {
        client.act_on(&self.connected, |wire| wire.fin = true);
    }

    /// Resets the connection.
    pub fn cut<A: Service>(&mut self, client: &mut TestClient<A>) {
        client.act_on(&self.connected, |wire| wire.reset = true);
    }

    // ---- from the server --------------------------------------------------------------------------------------------

    /// Takes the next message, whole, or the next control frame. Returns `None` if none is there.
    ///
    /// When the test itself has used a room, or has called the state in another way, no socket has had a turn since:
    /// call [`client.advance(Duration::ZERO)`](TestClient::advance) first.
    ///
    /// # Panics
    /// If the server has sent what is no frame of a server.
    #[track_caller]
    #[allow(clippy::should_implement_trait, reason = "there may be more messages after `None`")]
    pub fn next(&mut self) -> Option<TestMessage> {
        loop {
            let (fin, opcode, payload) = self.take_frame()?;
            let text = |bytes| String::from_utf8(bytes).expect("text of the server is UTF-8");
            match opcode {
                0..=2 => {
                    let begun = self.partial.take();
                    assert_eq!(begun.is_some(), opcode == 0, "frames of two messages are mixed");
                    let (is_text, mut content) = begun.unwrap_or((opcode == 1, Vec::new()));
                    content.extend(payload);
                    match fin {
                        false => self.partial = Some((is_text, content)),
                        true if is_text => return Some(TestMessage::Text(text(content))),
                        true => return Some(TestMessage::Binary(content)),
                    }
                }
                8 => {
                    let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                    return Some(TestMessage::Close(code, text(payload.get(2..).unwrap_or_default().to_vec())));
                }
                9 => return Some(TestMessage::Ping(payload)),
                10 => return Some(TestMessage::Pong(payload)),
                other => panic!("the server has sent a frame of the opcode {other}"),
            }
        }
    }

    /// Takes the next message, which must be text.
    ///
    /// # Panics
    /// If it is anything else, or none is there.
    #[track_caller]
    pub fn text(&mut self) -> String {
        match (self.next(), self.ended()) {
            (Some(TestMessage::Text(text)), _) => text,
            (Some(other), _) => panic!("the next message is no text: {other:?}"),
            (None, None) => panic!("no message is there"),
            (None, Some(why)) => panic!("no message is there, and the connection has ended: {why}"),
        }
    }

    /// Takes the next message, which must be text, and parses it as JSON.
    ///
    /// ```
    /// # use monoloop::{Result, Router, TestClient};
    /// # use monoloop::websocket::{Message, Socket, WebSocket};
    /// struct Adder;
    ///
    /// impl<S> WebSocket<S> for Adder {
    ///     fn message(&mut self, _: &mut S, message: Message<'_>, ws: &mut Socket<'_>) -> Result<()> {
    ///         let (left, right): (u32, u32) = message.json()?;
    ///         ws.send_json(&(left + right))
    ///     }
    /// }
    ///
    /// let mut app = Router::new(());
    /// app.websocket("/add", |_, _, offer| Ok((offer, Adder)));
    /// let mut client = TestClient::new(app);
    /// let mut ann = client.websocket("/add").open();
    /// ann.send_json(&mut client, &(1, 2));
    /// assert_eq!(ann.json::<u32>(), 3);
    /// ```
    ///
    /// # Panics
    /// As [`text`](Self::text); and if the text is not JSON, or does not fit `T`.
    #[cfg(feature = "json")]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    #[track_caller]
    pub fn json<T: serde::de::DeserializeOwned>(&mut self) -> T {
        let text = self.text();
        match serde_json::from_str(&text) {
            Ok(value) => value,
            Err(error) => panic!("{error} in the JSON {text:?}"),
        }
    }

    /// Takes the next frame, if it is all there.
    fn take_frame(&mut self) -> Option<(bool, u8, Vec<u8>)> {
        let mut wire = self.connected.link.wire_mut();
        let bytes = &wire.outbound;
        let (&first, &second) = (bytes.first()?, bytes.get(1)?);
        assert_eq!(first & 0x70, 0, "the server has set a reserved bit");
        let (len, header) = match second {
            126 => (u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?) as usize, 4),
            127 => (u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?) as usize, 10),
            len @ ..126 => (len as usize, 2),
            _ => panic!("the server has masked a frame"),
        };
        let payload = bytes.get(header..header + len)?.to_vec();
        wire.outbound.drain(..header + len);
        Some((first & 0x80 != 0, first & 0x0f, payload))
    }

    /// The value of a field line of the 101.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.reply.header(name)
    }

    /// Why the connection has ended; `None` if it has not. After Close frames in both directions the server waits for
    /// the client's FIN: see [`half_close`](Self::half_close).
    pub fn ended(&self) -> Option<CloseReason> {
        self.connected.link.wire().closed
    }

    /// Whether the server has closed its side of the connection.
    pub fn is_half_closed(&self) -> bool {
        let Wire { half_closed, closed, .. } = &*self.connected.link.wire();
        *half_closed || closed.is_some()
    }
}

impl<A> fmt::Debug for TestHandshake<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TestHandshake({:?})", self.head)
    }
}
