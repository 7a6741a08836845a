//! actix-web with one worker.

use std::time::Duration;

use actix_web::web::{self, Bytes, PayloadConfig};
use actix_web::{App, HttpServer};
use compare_servers::{BIG, IDLE_SECONDS, MAX_CONTENT, PLAINTEXT, address, resources};
use serde::Serialize;

#[derive(Serialize)]
struct Message {
    message: &'static str,
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let app = || {
        let mut app = App::new()
            .app_data(PayloadConfig::new(MAX_CONTENT))
            .route("/plaintext", web::get().to(|| async { PLAINTEXT }))
            .route("/json", web::get().to(|| async { web::Json(Message { message: "Hello, World!" }) }))
            .route("/echo", web::post().to(|content: Bytes| async { content }))
            .route("/big", web::get().to(|| async { Bytes::from_static(&BIG) }));
        for n in resources() {
            app = app
                .route(&format!("/api/v1/resource{n}/{{id}}"), web::get().to(id))
                .route(&format!("/api/v1/resource{n}/{{id}}/detail"), web::get().to(id));
        }
        app
    };
    HttpServer::new(app).workers(1).keep_alive(Duration::from_secs(IDLE_SECONDS.into())).bind(address())?.run().await
}

async fn id(id: web::Path<String>) -> String {
    id.into_inner()
}
