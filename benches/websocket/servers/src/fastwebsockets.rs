//! fastwebsockets on tokio's runtime of one thread. The handshake is made by hand: its own is one of hyper, whose
//! buffers would stay with each socket, and whose streams add a call to each read and write.

use std::error::Error;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fastwebsockets::{
    FragmentCollector, Frame, OpCode, Payload, Role, WebSocket, WebSocketError, after_handshake_split,
};
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{Sender, channel};
use tokio::task::unconstrained;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// A message of the room.
type Text = std::sync::Arc<[u8]>;

/// Messages that a member may be behind before it misses the oldest.
const BEHIND: usize = 16;

const MAX_HEAD: usize = 8192;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}", listener.local_addr()?);
    let (room, _) = channel(BEHIND);
    loop {
        let (stream, _) = listener.accept().await?;
        // A socket that breaks concerns nobody else.
        tokio::spawn(unconstrained(serve(stream, room.clone())));
    }
}

async fn serve(mut stream: TcpStream, room: Sender<Text>) -> Result<()> {
    stream.set_nodelay(true)?;
    match shake_hands(&mut stream).await?.as_str() {
        "/echo" => echo(stream).await?,
        "/room" => member(stream, room).await?,
        path => return Err(format!("there is no {path}").into()),
    }
    Ok(())
}

/// Reads the request, answers it, and returns its path.
async fn shake_hands(stream: &mut TcpStream) -> Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > MAX_HEAD || stream.read_buf(&mut head).await? == 0 {
            return Err("no request".into());
        }
    }
    let head = String::from_utf8(head)?;
    let path = head.split(' ').nth(1).ok_or("no path")?.to_owned();
    let key = head.lines().filter_map(|line| line.split_once(": "));
    let key = key.filter(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key")).map(|(_, key)| key).next();
    let mut digest = Sha1::new_with_prefix(key.ok_or("no key")?);
    digest.update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let reply = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        STANDARD.encode(digest.finalize())
    );
    stream.write_all(reply.as_bytes()).await?;
    Ok(path)
}

async fn echo(stream: TcpStream) -> Result<()> {
    let mut socket = FragmentCollector::new(WebSocket::after_handshake(stream, Role::Server));
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            _ => {}
        }
    }
}

/// Reads and writes at the same time. A read that has begun must not be dropped, so it goes on beside the writes.
async fn member(stream: TcpStream, room: Sender<Text>) -> Result<()> {
    let mut messages = room.subscribe();
    let (reader, writer) = stream.into_split();
    let (mut reader, mut socket) = after_handshake_split(reader, writer, Role::Server);
    let read = async {
        loop {
            let mut no_replies = |_: Frame<'_>| async { Ok::<(), WebSocketError>(()) };
            let frame = reader.read_frame(&mut no_replies).await?;
            match frame.opcode {
                OpCode::Close => return Ok(()),
                // Nobody need be there to get it.
                OpCode::Text | OpCode::Binary => drop(room.send(frame.payload[..].into())),
                _ => {}
            }
        }
    };
    let write = async {
        loop {
            match messages.recv().await {
                Ok(text) => socket.write_frame(Frame::text(Payload::Borrowed(&text))).await?,
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok(()),
            }
        }
    };
    tokio::select! { end = read => end, end = write => end }
}
