//! The three-line server. Run it: `cargo run --example hello`, then `curl http://127.0.0.1:3000/`.

fn main() -> monoloop::server::Result<()> {
    monoloop::serve("127.0.0.1:3000", |_req, res| res.text("Hello, World!\n"))
}
