//! ntex with one worker, on tokio.

use compare_servers::{BIG, IDLE_SECONDS, MAX_CONTENT, PLAINTEXT, address, resources};
use ntex::SharedCfg;
use ntex::http::HttpServiceConfig;
use ntex::time::Seconds;
use ntex::util::Bytes;
use ntex::web::types::{Json, Path, PayloadConfig};
use ntex::web::{self, App, HttpResponse, HttpServer};
use serde::Serialize;

#[derive(Serialize)]
struct Message {
    message: &'static str,
}

#[ntex::main]
async fn main() -> std::io::Result<()> {
    let app = async || {
        let mut app = App::new()
            .state(PayloadConfig::new(MAX_CONTENT))
            .route("/plaintext", web::get().to(|| async { PLAINTEXT }))
            .route("/json", web::get().to(|| async { Json(Message { message: "Hello, World!" }) }))
            .route("/echo", web::post().to(|content: Bytes| async { HttpResponse::Ok().body(content) }))
            .route("/big", web::get().to(|| async { HttpResponse::Ok().body(Bytes::from_static(&BIG)) }));
        for n in resources() {
            app = app
                .route(&format!("/api/v1/resource{n}/{{id}}"), web::get().to(id))
                .route(&format!("/api/v1/resource{n}/{{id}}/detail"), web::get().to(id));
        }
        app
    };
    let idle = HttpServiceConfig::new().set_keepalive(Seconds(IDLE_SECONDS));
    HttpServer::new(app).workers(1).config(SharedCfg::new("compare").add(idle)).bind(address())?.run().await
}

async fn id(id: Path<String>) -> String {
    id.into_inner()
}
