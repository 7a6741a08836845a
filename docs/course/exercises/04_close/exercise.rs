use std::mem;

// This is the connection of step 4. A client that sends the field line `Connection: close` wants no reply after the
// one to this request, and the reply says `Connection: close` itself. What does the connection have to remember, and
// for how long? Which step of the table gets a second reason?

/// What a connection is doing.
///
/// ```text
///     ──▶ Head ── a head has come ──▶ Content ── the content has come, the reply is queued ──▶ Head
///
///     Head, Content ── the client sends no more ──▶ Ending ── all is sent ──▶ (the socket is closed)
///
///     any phase ── the socket fails ──▶ Closed
/// ```
#[derive(Debug)]
pub enum Phase {
    /// The connection is between two requests, or within a head.
    Head,
    /// The head has come. The content has not, or not all of it.
    Content(Request),
    /// Nothing more is read. What is owed is still sent.
    Ending,
    /// The socket can go.
    Closed,
}

impl Phase {
    /// The table of steps: whether one step leads from this phase to `next`.
    fn leads_to(&self, next: &Phase) -> bool {
        match (self, next) {
            (Phase::Closed, _) => false,
            (_, Phase::Closed) => true,
            (Phase::Head, next) => matches!(next, Phase::Content(_) | Phase::Ending),
            (Phase::Content(_), next) => matches!(next, Phase::Head | Phase::Ending),
            (Phase::Ending, _) => false,
        }
    }
}

/// The head of a request, as far as this server cares.
#[derive(Debug)]
pub struct Request {
    method: String,
    target: String,
    /// The length of the content in bytes.
    length: usize,
}

/// What a step of the state machine has come to.
#[derive(PartialEq)]
pub enum Step {
    /// Something was done, so there may be more to do.
    Again,
    /// Nothing can be done until more input comes.
    Stalled,
}

/// The state of one connection. It knows neither socket nor clock: its driver brings bytes and takes bytes.
#[derive(Debug)]
pub struct Connection {
    phase: Phase,
    /// What has come and is not used yet.
    input: Vec<u8>,
    /// The client has closed its side.
    input_ended: bool,
    /// What is owed to the client.
    output: Vec<u8>,
}

impl Connection {
    pub fn new() -> Self {
        Self { phase: Phase::Head, input: Vec::new(), input_ended: false, output: Vec::new() }
    }

    pub fn received(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    pub fn received_eof(&mut self) {
        self.input_ended = true;
    }

    /// Parses and answers as far as the input allows.
    pub fn advance(&mut self) {
        while self.step() == Step::Again {}
        // What has not come whole will never come whole.
        if self.input_ended && matches!(self.phase, Phase::Head | Phase::Content(_)) {
            self.enter(Phase::Ending);
        }
    }

    fn step(&mut self) -> Step {
        match &self.phase {
            Phase::Head => self.read_head(),
            Phase::Content(request) if self.input.len() < request.length => Step::Stalled,
            Phase::Content(_) => self.answer(),
            Phase::Ending | Phase::Closed => Step::Stalled,
        }
    }

    /// Enters the next phase: the one place where the phase changes. Returns the old one for what it holds.
    fn enter(&mut self, next: Phase) -> Phase {
        debug_assert!(self.phase.leads_to(&next), "no step leads from {:?} to {next:?}", self.phase);
        mem::replace(&mut self.phase, next)
    }

    fn read_head(&mut self) -> Step {
        let Some(end) = self.input.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Step::Stalled };
        let head: Vec<u8> = self.input.drain(..end + 4).collect();
        self.enter(Phase::Content(parse(&String::from_utf8_lossy(&head))));
        Step::Again
    }

    /// Answers the request whose content has come.
    fn answer(&mut self) -> Step {
        let Phase::Content(request) = self.enter(Phase::Head) else { unreachable!("only a request is answered") };
        let content: Vec<u8> = self.input.drain(..request.length).collect();
        match (&*request.method, &*request.target) {
            ("GET", "/") => self.reply("200 OK", b"hello\n"),
            ("POST", "/echo") => self.reply("200 OK", &content),
            _ => self.reply("404 Not Found", b"not found\n"),
        }
        Step::Again
    }

    fn reply(&mut self, status: &str, content: &[u8]) {
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", content.len());
        self.output.extend_from_slice(head.as_bytes());
        self.output.extend_from_slice(content);
    }

    // What the driver asks. All of it is computed from the phase.

    pub fn output(&self) -> &[u8] {
        &self.output
    }

    pub fn sent(&mut self, count: usize) {
        self.output.drain(..count);
    }

    pub fn wants_read(&self) -> bool {
        !self.input_ended && matches!(self.phase, Phase::Head | Phase::Content(_))
    }

    pub fn wants_end(&self) -> bool {
        match self.phase {
            Phase::Head | Phase::Content(_) => false,
            Phase::Ending => self.output.is_empty(),
            Phase::Closed => true,
        }
    }
}

/// Takes the request line and the length from a head. It believes everything; step 5 does not.
fn parse(head: &str) -> Request {
    let mut words = head.split([' ', '\r']).map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let length = head.lines().filter_map(|line| line.strip_prefix("Content-Length: ")).next();
    Request { method, target, length: length.and_then(|length| length.parse().ok()).unwrap_or(0) }
}
