//! axum on a tokio runtime of one thread.

use axum::body::Bytes;
use axum::extract::Path;
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use compare_servers::{BIG, PLAINTEXT, address, resources};
use serde::Serialize;
use tokio::net::TcpListener;

#[derive(Serialize)]
struct Message {
    message: &'static str,
}

fn main() -> std::io::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?.block_on(serve())
}

async fn serve() -> std::io::Result<()> {
    let mut app = Router::new()
        .route("/plaintext", get(|| async { PLAINTEXT }))
        .route("/json", get(|| async { Json(Message { message: "Hello, World!" }) }))
        .route("/echo", post(|content: Bytes| async { content }))
        .route("/big", get(|| async { Bytes::from_static(&BIG) }));
    for n in resources() {
        app = app
            .route(&format!("/api/v1/resource{n}/{{id}}"), get(id))
            .route(&format!("/api/v1/resource{n}/{{id}}/detail"), get(id));
    }
    let listener = TcpListener::bind(address()).await?.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    // Otherwise the router would be copied for each connection.
    axum::serve(listener, app.into_make_service()).await
}

async fn id(Path(id): Path<String>) -> String {
    id
}
