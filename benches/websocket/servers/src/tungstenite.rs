//! tokio-tungstenite on tokio's runtime of one thread. Its argument is the size of the read buffer in bytes: each
//! socket has one, and fills it with zeroes before it reads, so the best size depends on the messages.

use std::error::Error;

use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{Sender, channel};
use tokio::task::unconstrained;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Messages that a member may be behind before it misses the oldest.
const BEHIND: usize = 16;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let read_buffer = std::env::args().nth(1).ok_or("tungstenite-server READ_BUFFER")?.parse()?;
    let config = WebSocketConfig::default().read_buffer_size(read_buffer);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}", listener.local_addr()?);
    let (room, _) = channel(BEHIND);
    loop {
        let (stream, _) = listener.accept().await?;
        // A socket that breaks concerns nobody else.
        tokio::spawn(unconstrained(serve(stream, config, room.clone())));
    }
}

async fn serve(stream: TcpStream, config: WebSocketConfig, room: Sender<Utf8Bytes>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut is_member = false;
    #[allow(clippy::result_large_err, reason = "the library has this type of error")]
    let look = |request: &Request, response: Response| {
        is_member = request.uri().path() == "/room";
        Ok(response)
    };
    let socket = accept_hdr_async_with_config(stream, look, Some(config)).await?;
    if is_member { member(socket, room).await } else { echo(socket).await }
}

/// Answers all messages that have come with one write.
async fn echo(mut socket: WebSocketStream<TcpStream>) -> Result<()> {
    while let Some(message) = socket.next().await {
        let mut message = Some(message?);
        while let Some(one) = message {
            if one.is_text() || one.is_binary() {
                socket.feed(one).await?;
            }
            message = socket.next().now_or_never().flatten().transpose()?;
        }
        socket.flush().await?;
    }
    Ok(())
}

async fn member(mut socket: WebSocketStream<TcpStream>, room: Sender<Utf8Bytes>) -> Result<()> {
    let mut messages = room.subscribe();
    loop {
        tokio::select! {
            message = socket.next() => match message.transpose()? {
                // Nobody need be there to get it.
                Some(Message::Text(text)) => drop(room.send(text)),
                Some(_) => {}
                None => return Ok(()),
            },
            message = messages.recv() => match message {
                Ok(text) => socket.send(Message::Text(text)).await?,
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok(()),
            },
        }
    }
}
