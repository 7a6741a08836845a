//! Times of single parts, for comparison while you change them. CI does not check them: a time depends on the machine
//! and its load, a count of instructions does not (`instructions.rs`).
//!
//!     cargo bench --features internals --bench micro               # all
//!     cargo bench --features internals --bench micro -- route      # those whose path contains `route`

mod support;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};

fn main() {
    // 500 calls take far longer than the clock's precision. By default divan times one slow first call, and then takes
    // samples of one call.
    divan::Divan::default().sample_size(500).config_with_args().main();
}

mod parse {
    use super::*;
    use monoloop::Config;
    use monoloop::internals::HeadParser;

    #[divan::bench]
    fn host_only(bencher: Bencher<'_, '_>) {
        parse(bencher, support::PLAIN);
    }

    #[divan::bench]
    fn browser_fields_x20(bencher: Bencher<'_, '_>) {
        parse(bencher, &support::BROWSER);
    }

    fn parse(bencher: Bencher<'_, '_>, head: &str) {
        let config = Config::default();
        let mut parser = HeadParser::default();
        bencher.counter(BytesCount::of_str(head)).bench_local(|| parser.parse(black_box(head.as_bytes()), &config));
    }
}

/// The router and matchit with the same routes. The path matches the route in their middle.
///
/// Both find the route and the positions of its parameters.
mod route {
    use super::support::Routes;
    use super::*;

    const ROUTES: [(Routes, usize); 12] = [
        (Routes::Static, 1),
        (Routes::Static, 10),
        (Routes::Static, 100),
        (Routes::Static, 500),
        (Routes::Param, 1),
        (Routes::Param, 10),
        (Routes::Param, 100),
        (Routes::Param, 500),
        (Routes::CatchAll, 1),
        (Routes::CatchAll, 10),
        (Routes::CatchAll, 100),
        (Routes::CatchAll, 500),
    ];

    #[divan::bench(args = ROUTES)]
    fn monoloop(bencher: Bencher<'_, '_>, (routes, count): (Routes, usize)) {
        let app = routes.router(count);
        let path = routes.path(count / 2);
        bencher.bench_local(|| ::monoloop::internals::find_route(&app, black_box(&path)).expect("a route"));
    }

    #[divan::bench(args = ROUTES)]
    fn matchit(bencher: Bencher<'_, '_>, (routes, count): (Routes, usize)) {
        let router = routes.matchit(count);
        let path = routes.path(count / 2);
        bencher.bench_local(|| {
            let found = router.at(black_box(&path)).expect("a route");
            black_box(&found.params);
            *found.value
        });
    }
}

#[divan::bench]
fn encode(bencher: Bencher<'_, '_>) {
    let mut encoder = monoloop::internals::Encoder::new(support::date());
    bencher.bench_local(|| encoder.text(black_box("Hello, World!")));
}

/// Bodies of `count` chunks of `size` bytes each.
#[divan::bench(args = [(64, 1024), (1024, 3)])]
fn decode_chunks(bencher: Bencher<'_, '_>, (count, size): (usize, usize)) {
    let body = support::chunked(count, size);
    bencher.counter(BytesCount::new(body.len())).bench_local(|| monoloop::internals::decode_chunks(black_box(&body)));
}

/// Whole requests in memory.
mod request {
    use super::*;
    use monoloop::internals::exchange;

    #[divan::bench]
    fn host_only(bencher: Bencher<'_, '_>) {
        request(bencher, support::PLAIN, 1, false);
    }

    #[divan::bench]
    fn host_only_cors(bencher: Bencher<'_, '_>) {
        request(bencher, support::PLAIN, 1, true);
    }

    #[divan::bench]
    fn browser_fields_x20(bencher: Bencher<'_, '_>) {
        request(bencher, &support::BROWSER, 1, false);
    }

    #[divan::bench]
    fn pipelined_x16(bencher: Bencher<'_, '_>) {
        request(bencher, support::PLAIN, 16, false);
    }

    #[divan::bench]
    fn post(bencher: Bencher<'_, '_>) {
        request(bencher, support::POST, 1, false);
    }

    #[divan::bench]
    fn post_chunked(bencher: Bencher<'_, '_>) {
        request(bencher, support::POST_CHUNKED, 1, false);
    }

    fn request(bencher: Bencher<'_, '_>, request: &str, depth: usize, cors: bool) {
        let mut client = support::client(cors);
        let batch = request.repeat(depth);
        bencher.counter(ItemsCount::new(depth)).bench_local(|| exchange(&mut client, black_box(batch.as_bytes())));
    }
}
