//! hyper on a tokio runtime of one thread.

use std::convert::Infallible;

use compare_servers::{BIG, PLAINTEXT, address, is_pipelined};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::TcpListener;

#[derive(Serialize)]
struct Message {
    message: &'static str,
}

fn main() -> std::io::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(serve())
}

async fn serve() -> std::io::Result<()> {
    let listener = TcpListener::bind(address()).await?;
    let mut http = http1::Builder::new();
    // The replies to a pipeline then leave together. This is off by default, and it makes hyper copy contents.
    http.pipeline_flush(is_pipelined());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(http.serve_connection(TokioIo::new(stream), service_fn(answer)));
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(match (request.method(), request.uri().path()) {
        (&Method::GET, "/plaintext") => reply("text/plain", Bytes::from_static(PLAINTEXT.as_bytes())),
        (&Method::GET, "/json") => match serde_json::to_vec(&Message { message: "Hello, World!" }) {
            Ok(json) => reply("application/json", json.into()),
            Err(_) => fault(StatusCode::INTERNAL_SERVER_ERROR),
        },
        (&Method::POST, "/echo") => match request.into_body().collect().await {
            Ok(content) => reply("application/octet-stream", content.to_bytes()),
            Err(_) => fault(StatusCode::BAD_REQUEST),
        },
        (&Method::GET, "/big") => reply("application/octet-stream", Bytes::from_static(&BIG)),
        _ => fault(StatusCode::NOT_FOUND),
    })
}

fn reply(content_type: &'static str, content: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(content));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn fault(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
