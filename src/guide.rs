// The guides of the repository as pages of the crate's documentation. There is no code here, and only rustdoc reads it.
//
// A link in a guide must lead somewhere on both sides: from a file in the repository to another file, and from a page
// of the documentation to another page. So each link names a label, and each label has two definitions. The one at the
// end of the guide leads to a file. The one in `docs/guide/links.txt`, which comes before the guide here, leads to a
// page. In Markdown the first definition counts.

#![doc = include_str!("../docs/guide/links.txt")]
#![doc = ""]
#![doc = include_str!("../docs/guide/README.md")]

macro_rules! guides {
    ($($(#[$alias:meta])* $name:ident $file:literal;)*) => {$(
        #[doc = include_str!("../docs/guide/links.txt")]
        #[doc = ""]
        #[doc = include_str!($file)]
        $(#[$alias])*
        pub mod $name {}
    )*};
}

guides! {
    #[doc(alias("example", "tutorial", "quickstart", "demo"))]
    getting_started "../docs/guide/getting-started.md";
    #[doc(alias("middleware", "path", "route"))]
    routing "../docs/guide/routing.md";
    #[doc(alias("cookie", "session", "form", "query", "json", "error"))]
    requests_and_replies "../docs/guide/requests-and-replies.md";
    #[doc(alias("upload", "stream", "sse", "defer", "async"))]
    streaming "../docs/STREAMING.md";
    #[doc(alias("ws", "chat", "room", "broadcast", "socket.io", "realtime"))]
    websocket "../docs/WEBSOCKET.md";
    #[doc(alias("static", "range", "etag", "cache"))]
    files "../docs/FILES.md";
    #[doc(alias("mistake", "E0277", "E0282", "E0308", "E0382", "E0599", "E0271", "E0502", "E0521", "E0594"))]
    errors "../docs/ERRORS.md";
    #[doc(alias("test"))]
    testing "../docs/guide/testing.md";
    #[doc(alias("cli", "option", "environment"))]
    command "../docs/guide/command.md";
    #[doc(alias("production", "shutdown", "drain", "metrics", "panic", "log"))]
    operating "../docs/guide/operating.md";
    #[doc(alias("threads", "cores", "multithreading"))]
    workers "../docs/guide/workers.md";
    #[doc(alias("rfc", "keep-alive", "pipelining", "smuggling"))]
    protocol "../docs/guide/protocol.md";
    #[doc(alias("features", "embed", "no_default_features"))]
    embedding "../docs/guide/embedding.md";
    #[doc(alias("node", "express"))]
    from_node "../docs/guide/from-node.md";
    #[doc(alias("benchmark", "wrk", "performance"))]
    measuring "../docs/guide/measuring.md";
}
