//! Limits and timeouts: the value and unit of each, the reason for it, and what other servers use.
//!
//! Most public ones are defaults: of [`Config`](crate::Config), or of the cache of static files. The others bound what
//! a program can ask for, or say how much memory a slow client can take. The source of this module also has the limits
//! of the event loop and the parsers. These are fixed, because no reason to change them is known.

#![cfg_attr(
    not(all(feature = "files", feature = "multipart")),
    allow(dead_code, reason = "those of static files and forms have no user then")
)]

use std::time::Duration;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

// ---- what a client may send -------------------------------------------------------------------------------------

/// Longest request target in bytes; above it 414. RFC 9112 §3 asks for at least 8,000. nginx 8 KiB, Node 16 KiB.
pub const MAX_TARGET: usize = 8 * KIB;

/// Longest request head in bytes, request line and blank line included; above it 431. Node 16 KiB, nginx 32 KiB,
/// hyper about 400 KiB.
pub const MAX_HEAD: usize = 16 * KIB;

/// Most field lines in a head; above it 431. Fixed: it is the size of an array on the stack. hyper and Apache 100.
pub(crate) const MAX_FIELDS: usize = 100;

/// Longest method token in bytes; a request with a longer one is refused with 501 before the token ends. The longest
/// registered method (`UPDATEREDIRECTREF`) has 17 letters.
pub(crate) const MAX_METHOD: usize = 32;

/// Most methods that a process can add to those of HTTP. Fixed: with the eight that the server knows, a set of methods
/// is one 64-bit word. IANA has registered some 30 others, those of WebDAV among them.
pub const MAX_EXTENSION_METHODS: usize = 56;

/// Empty lines that are skipped before a request line (RFC 9112 §2.2 says "at least one"); one more is a 400.
pub(crate) const MAX_EMPTY_LINES: u8 = 4;

/// Largest content that is buffered for a handler, in bytes; above it 413. nginx and Apache 1 MiB, Express 100 KiB.
pub const MAX_CONTENT: u64 = MIB as u64;

#[cfg(feature = "json")]
/// Most values of a form that becomes a type, since each takes 48 bytes of memory and may be two bytes in the form;
/// above it 413. Express, Django and PHP 1,000.
pub(crate) const MAX_TYPED_PAIRS: usize = 10_000;

/// Most content that is ever buffered for a handler, in bytes, even if more is configured; above it 413. The buffer is
/// one piece, and while it grows, a second piece twice as long exists. So the limit is 512 MiB on 32-bit systems; on
/// 64-bit systems it is never reached.
pub const MAX_BUFFERED: u64 = (usize::MAX / 8) as u64;

/// Longest chunk-size line in bytes, extensions included (RFC 9112 §7.1.1 asks for a limit). Node 16 KiB in total.
pub(crate) const MAX_CHUNK_LINE: u32 = 256;

/// Most bytes of chunk extensions in a whole body. Node 16 KiB, hyper 16 KiB.
pub(crate) const MAX_CHUNK_EXTENSIONS: u32 = 16 * KIB as u32;

/// Longest trailer section in bytes; above it 431.
pub(crate) const MAX_TRAILERS: u32 = 8 * KIB as u32;

/// Most bytes of unread content (such as that of a POST with a 404) that are discarded to keep the connection. If there
/// are more, the connection is closed after the reply.
pub(crate) const MAX_DISCARD: u64 = 64 * KIB as u64;

/// Bytes that are read and discarded after an error reply. Otherwise a reset could destroy the reply before the client
/// reads it. nginx bounds this by time alone (`lingering_time` 30 s).
pub(crate) const LINGER_BYTES: u32 = 64 * KIB as u32;

// ---- forms with files (multipart/form-data) ---------------------------------------------------------------------

/// Largest form, in bytes, with its boundaries and headers; above it 413. It is streamed, so this protects the disk and
/// not the memory. actix 50 MiB, PHP 8 MiB, Spring 10 MiB, busboy none.
pub const MAX_FORM: u64 = 50 * MIB as u64;

/// Most bytes of all parts of a form together that are no files, with their names; above it 413. An application keeps
/// them in memory. The value is that of [`MAX_CONTENT`]. busboy 1 MiB for each, actix 2 MiB and Django 2.5 MiB for all.
pub const MAX_FORM_FIELDS: u64 = MAX_CONTENT;

/// Most parts of a form; above it 413. Each can cost a file, and a client needs some 60 bytes for one. Werkzeug, Django
/// and PHP 1,000 fields, busboy any number.
pub const MAX_PARTS: usize = 1000;

/// Longest header of a part in bytes; above it 413. It holds a name and a file name of at most some hundred bytes each,
/// and is kept until it is whole. busboy and Node 16 KiB, Commons FileUpload 512 bytes.
pub(crate) const MAX_PART_HEADER: usize = 8 * KIB;

/// Most bytes of a form before, between and after its parts; above it 400. Clients send nothing there but a line break.
/// So where the boundary is another one than was announced, the form is refused at its beginning.
pub(crate) const MAX_AROUND_PARTS: usize = 8 * KIB;

// ---- what the server may send -----------------------------------------------------------------------------------

/// Longest name and value of a cookie together, in bytes. Browsers ignore a longer one
/// (draft-ietf-httpbis-rfc6265bis §5.6).
pub(crate) const MAX_COOKIE: usize = 4 * KIB;

/// Longest value of an attribute of a cookie, in bytes. Browsers ignore a longer one, as above.
pub(crate) const MAX_COOKIE_ATTRIBUTE: usize = KIB;

/// Largest reply that a handler may write to memory, in bytes; above it its writer fails.
pub const MAX_RESPONSE_BUFFER: usize = 8 * MIB;

/// Content of at least this size is queued as a segment of its own and sent by a vectored write. Smaller content is
/// copied after its head, because one copy is cheaper than one more `iovec`.
pub(crate) const SHARE_FROM: usize = 16 * KIB;

/// Owed bytes from which on a connection is no longer read or parsed. Node's `highWaterMark` is 16 KiB; nginx's
/// `postpone_output` and h2o's pull limit are of the same order.
pub const HIGH_WATER: usize = 64 * KIB;

/// Bytes that a `BodySender` holds before it is full. The connection takes them at the speed of the client. The value
/// is that of [`HIGH_WATER`].
pub const CHANNEL_BYTES: usize = 64 * KIB;

/// Owed bytes below which a connection is read and parsed again.
pub(crate) const LOW_WATER: usize = 16 * KIB;

/// Most slices of one vectored write. Linux takes 1,024, but more than a few dozen gain nothing.
pub(crate) const MAX_SLICES: usize = 16;

/// Bytes of a file that are sent in a turn while no other session is runnable. This takes well under a millisecond, so
/// a request that comes meanwhile does not wait long. nginx 2 MiB (`sendfile_max_chunk`), Apache 16 MiB.
pub(crate) const FILE_TURN: usize = 2 * MIB;

/// Bytes of a file that are sent in a turn while other sessions wait for their turns, or if the disk may have to be
/// read. h2o sends 64 KiB at a time, and needs more system calls for it.
pub(crate) const FILE_TURN_AMONG_OTHERS: usize = 256 * KIB;

/// Bytes of files that all sessions together send in a tick, if each session with a turn is in the middle of a long
/// reply. Each gets an equal share, between [`FILE_TURN_AMONG_OTHERS`] and [`FILE_TURN`]. The total is four turns of
/// one session alone, or one to two milliseconds. nginx has no such bound: each connection sends 2 MiB.
pub(crate) const FILE_TICK: usize = 4 * FILE_TURN;

/// Bytes of a file that are read and written at a time if the kernel cannot send the file by itself.
pub(crate) const FILE_PIECE: usize = 64 * KIB;

// ---- static files -----------------------------------------------------------------------------------------------

/// Most parts in a `Range`; a field with more is ignored. Apache 200, nginx as many as the file has bytes.
pub(crate) const MAX_RANGES: usize = 32;

/// Bytes between two parts of a `Range` up to which they are sent as one. The head of a part takes about as many bytes
/// (RFC 9110 §15.3.7.2 says 80).
pub(crate) const RANGE_GAP: u64 = 80;

/// Most files that are kept open or in memory. nginx's `open_file_cache` has no default; its examples have 1,000.
pub const CACHED_FILES: usize = 512;

/// Largest file that is kept in memory, in bytes. It is kept with its head, so one write sends both. The value is that
/// of [`SHARE_FROM`], above which more than one slice is written.
pub(crate) const CACHED_FILE_BYTES: u64 = SHARE_FROM as u64;

/// Largest file in bytes that is read to learn its length, because the kernel makes it while it is read; a longer one
/// is a 404. The files of proc(5) and sysfs(5) that people serve have a few KiB. nginx sends the former empty, and
/// breaks off the latter.
pub(crate) const MADE_FILE_BYTES: u64 = 256 * KIB as u64;

/// How long a file stays open, or in memory, that nobody asks for. The files are looked through each
/// [`FILE_ROUND`], so it is closed at most that much later.
pub(crate) const FILE_IDLE: Duration = Duration::from_secs(30);

/// How often the kept files are looked through, while there are any.
pub(crate) const FILE_ROUND: Duration = Duration::from_secs(10);

/// Descriptors that files may need at once: a file, three coded files beside it, their directory, and the large files
/// that other clients still download. The server keeps as many free, or more: see [`reserved_descriptors`]. lighttpd
/// stops accepting at nine tenths of its limit; nginx keeps none.
pub(crate) const FILE_DESCRIPTORS: usize = 16;

/// Most bytes of all files in memory together.
pub const CACHE_BYTES: usize = 4 * MIB;

/// Most names on a page of a listing. To make a page takes a few milliseconds, and no other client is served meanwhile.
pub(crate) const MAX_LISTED: usize = 2_000;

/// Most names that are read of a directory; no listing has the rest. To read and sort so many takes some 20 ms, and no
/// other client is served meanwhile. nginx and Apache read all, however long it takes.
pub(crate) const MAX_NAMES: usize = 50_000;

/// Most bytes of names that are read of a directory, as [`MAX_NAMES`]; a name has at most 255.
pub(crate) const MAX_NAME_BYTES: usize = 2 * MIB;

/// Most directories whose listings are kept for the rest of the second.
pub(crate) const LISTINGS: usize = 8;

/// Most bytes of all listings that are kept; room for a directory of [`MAX_NAMES`] and its pages.
pub(crate) const LISTING_BYTES: usize = 8 * MIB;

/// Most symbolic links on the way to a file; the value is that of Linux (path_resolution(7)).
pub(crate) const MAX_LINKS: usize = 40;

// ---- logs -------------------------------------------------------------------------------------------------------

/// Most lines that wait to be written; further lines are dropped.
pub(crate) const LOG_LINES: usize = 8 * 1024;

/// Most bytes of lines that wait to be written; further lines are dropped. A line has some 200 bytes, but a client can
/// make it longer than a request head.
pub(crate) const LOG_BYTES: usize = 2 * MIB;

/// Errors that are written to standard error in a second, where there is no logger. The rest are counted. A client may
/// be able to cause them, and one line has up to 2 KiB.
pub(crate) const FAULTS_PER_SECOND: u32 = 10;

/// Longest text of a client in a line of the access log, in bytes; a longer one is cut. The text waits in memory until
/// the reply has left. Most texts have less than a tenth of that. nginx has no limit but that of the head.
pub(crate) const LOG_TEXT: usize = 2 * KIB;

/// How long a server waits at its end until the remaining lines of a log are written.
pub(crate) const LOG_PATIENCE: Duration = Duration::from_secs(1);

// ---- buffers ----------------------------------------------------------------------------------------------------

/// Size of a fresh receive buffer in bytes; it doubles when a head does not fit. Nearly all heads fit, and a client
/// that sends half a head and waits takes no more memory. nginx 1 KiB and then 8 KiB, Node 64 KiB.
pub(crate) const RECEIVE_BUFFER: usize = 4 * KIB;

/// Size of a fresh buffer for content that comes in pieces, in bytes; it doubles as content comes in.
pub(crate) const CONTENT_BUFFER: usize = 16 * KIB;

/// Least room for one read, in bytes. Only the last bytes of content of known length, or before a limit, get less.
pub(crate) const MIN_READ: usize = 2 * KIB;

/// Most room for one read of content, in bytes. More would zero memory far ahead of the content that has come.
pub(crate) const MAX_READ: usize = 256 * KIB;

/// Bytes that the pools keep for the next burst of requests; the rest goes back to the allocator.
pub(crate) const POOL_BYTES: usize = MIB;

/// Items of a pool that are lent at the same time from which on a new item gets memory apart from the heap, so that it
/// goes back to the system after the storm. Under steady load few are lent, because an idle connection has none.
pub(crate) const POOL_ITEMS: usize = 128;

/// Bytes in large buffers that a pool keeps while they are used again and again. Otherwise each large content would
/// fetch its memory from the kernel page by page, which took half the time of a 1 MiB echo.
pub(crate) const POOL_BUSY_BYTES: usize = 8 * MIB;

/// Bytes above which a buffer is large. A large buffer is kept only while it is used again and again, and lent only to
/// sessions that need so much.
pub(crate) const POOL_MAX_BUFFER: usize = 64 * KIB;

/// Bytes above which a buffer is not kept at all.
pub(crate) const POOL_LARGEST_BUFFER: usize = 2 * MIB;

// ---- the memory of all connections ------------------------------------------------------------------------------

/// The part of the memory that a server found at its start, of the machine or of its control group, that its
/// connections may hold together: one in this many. The rest is for the application, the kernel and the allocator.
pub(crate) const MEMORY_SHARE: usize = 4;

/// Bytes of memory that a process may use if the system does not say how many.
pub(crate) const MEMORY_UNKNOWN: u64 = 1024 * MIB as u64;

/// The part of the memory limit that only connections with at most [`POOL_MAX_BUFFER`] bytes may use: one in this many.
pub(crate) const MEMORY_FOR_SMALL: usize = 8;

/// The part of the memory limit below which memory is short: one in this many. Then connections are ended that hold
/// memory and whose clients neither send nor take anything.
pub(crate) const MEMORY_RELIEF: usize = 4;

/// How long a client may neither send nor take anything while memory is short and its connection holds some. A client
/// on a bad line sends and takes again after a lost packet within this time.
pub(crate) const MEMORY_PATIENCE: Duration = Duration::from_secs(2);

/// The part of the memory limit that each pool may keep in large buffers: one in this many.
pub(crate) const MEMORY_OF_POOL: usize = 16;

/// The memory that the record of a reply takes until the reply has left, for the observer, beside the request head.
pub(crate) const RECORD_BYTES: usize = 128;

// ---- the tick ---------------------------------------------------------------------------------------------------

/// Most events taken from one poll. They take 12 KiB; a larger batch only delays the first event.
pub(crate) const EVENTS: usize = 1024;

/// Connections accepted in one tick before the existing sessions get their turns.
pub(crate) const ACCEPT_BUDGET: usize = 256;

/// Deadlines handled in one tick before runnable sessions are served. Closing 10,000 sockets at once takes 0.1 s.
pub(crate) const EXPIRE_BUDGET: usize = 256;

/// Letters from other threads, and tasks that they have posted, that are handled in one tick before the sockets get
/// their turns again.
pub(crate) const POSTED_BUDGET: usize = 1024;

/// Timers of the application that are called in one tick.
pub(crate) const TIMER_BUDGET: usize = 64;

/// Time that a connection gets in a turn. What it does when the time is over comes to an end, and then others get their
/// turns. Some 200 plain requests fit in.
pub(crate) const TURN_TIME: Duration = Duration::from_micros(500);

/// Time after which no turn of a tick begins, so that the loop looks at its sockets again. It is long against the poll
/// that follows, and short against what a user notices.
pub(crate) const TICK_TIME: Duration = Duration::from_millis(5);

/// Time that each kind of work gets in a tick, also when the others have taken all of [`TICK_TIME`]: accepting, turns,
/// letters, tasks, timers, expiries, and removing the sessions that have ended.
pub(crate) const PART_TIME: Duration = Duration::from_millis(1);

/// Requests of one connection that are answered in one turn before other connections get their turns.
pub(crate) const TURN_REQUESTS: usize = 64;

/// Bytes in memory that are written to one connection in one turn. Files have bounds of their own, [`FILE_TURN`] and
/// [`FILE_TURN_AMONG_OTHERS`], since the kernel may have to read a disk for them.
pub(crate) const TURN_OUTPUT: usize = 2 * MIB;

/// Bytes read from one connection in one turn.
pub(crate) const TURN_BYTES: usize = 256 * KIB;

/// Length of the queue of `listen(2)`; the kernel caps it at `net.core.somaxconn` (4096 by default). nginx 511, Node
/// 511.
pub const BACKLOG: i32 = 4096;

/// The share of the descriptors that is kept free for an application that asks for any: the more clients a server has,
/// the more files they ask for at once. An eighth of 1,024, the usual soft limit, is 128.
pub(crate) const RESERVED_SHARE: u64 = 8;

/// The most that is kept free: a process with few descriptors must serve someone.
pub(crate) const MOST_RESERVED_SHARE: u64 = 4;

/// How many of `limit` descriptors are kept free for an application that asks for `asked`.
pub(crate) fn reserved_descriptors(asked: usize, limit: u64) -> u64 {
    match asked {
        0 => 0,
        asked => (asked as u64).max(limit / RESERVED_SHARE).min(limit / MOST_RESERVED_SHARE),
    }
}

/// How long accepting pauses after `EMFILE` or `ENFILE`, unless a connection closes earlier. nginx 500 ms.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// Width of a slot of the timer wheel: no deadline fires later than this.
pub(crate) const WHEEL_SLOT: Duration = Duration::from_millis(250);

/// Slots of the timer wheel; a round takes 128 s. A deadline after that is checked once a round. A multiple of 64.
pub(crate) const WHEEL_SLOTS: usize = 512;

/// Most workers of a process. This is more than a machine has cores, and low enough to catch a typing error. nginx has
/// the same limit.
pub const MAX_WORKERS: usize = 1024;

// ---- time -------------------------------------------------------------------------------------------------------

/// How long a socket may be silent in both directions while no bytes are owed to the client. The value is that of
/// Node's tutorial; nginx `keepalive_timeout` 75 s, hyper none.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest time from the first byte of a request head to its end. nginx 60 s, Node 60 s, hyper 30 s.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the content of a request may fall short of its minimum rate, counted from its start. Apache 20 s, Kestrel 5
/// s; nginx limits only a pause (60 s), and Node only the total (300 s).
pub const CONTENT_TIMEOUT: Duration = Duration::from_secs(10);

/// Minimum rate at which a client must send content, in bytes per second on average. Apache 500, Kestrel 240.
pub const MIN_CONTENT_RATE: u32 = 500;

/// How long a client may fall short of the minimum rate at which it takes its replies. The value is long, because the
/// server sees progress only when the kernel has room again, which may come in steps of 64 KiB. nginx `send_timeout` 60
/// s (a pause), Kestrel 5 s.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(60);

/// Minimum rate at which a client must take its replies, in bytes per second on average. Kestrel 240.
pub const MIN_SEND_RATE: u32 = 500;

/// How long the application may take for a reply that it has deferred, or keep content paused. nginx
/// `proxy_read_timeout` 60 s, AWS's load balancers 60 s.
pub const REPLY_TIMEOUT: Duration = Duration::from_secs(60);

/// Silence in a stream of events after which a comment is sent, so that neither the idle timeout nor a proxy ends the
/// stream. WHATWG HTML §9.2.7 says "every 15 seconds or so"; axum 15 s.
pub(crate) const EVENT_HEARTBEAT: Duration = Duration::from_secs(15);

/// How long a browser may remember the answer to a CORS preflight. Chromium keeps none longer, Firefox keeps one for a
/// day and Safari for ten minutes; without a time they keep it for five seconds, and ask before nearly each request. It
/// keeps nobody from a stricter rule: the reply to each request says again whether its origin may read it.
pub const CORS_MAX_AGE: Duration = Duration::from_secs(2 * 60 * 60);

/// How long input is discarded after an error reply. nginx `lingering_timeout` 5 s, Apache 2 s.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(2);

/// How long an idle connection that the drain has half-closed may take to close its side.
pub(crate) const DRAIN_LINGER: Duration = Duration::from_secs(1);

/// How long a connection without a request stays open in a drain. What a proxy sends while the server is told to stop
/// arrives within milliseconds; a proxy that is busy takes longer to notice. nginx and Node answer the first request of
/// a connection that is already open, but close kept connections at once.
pub const DRAIN_GRACE: Duration = Duration::from_millis(500);

/// Time from the start of a drain until the remaining connections are cut. Shutdown examples for Node use 10 s as well;
/// Kubernetes sends SIGKILL after 30 s.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

// ---- recordings -------------------------------------------------------------------------------------------------

#[cfg(feature = "live")]
/// The largest recording in bytes, unless another size is set. It holds some ten thousand small requests, and replays
/// in a few seconds. Other servers record no such thing; rr and core dumps are larger.
pub(crate) const RECORDING_BYTES: u64 = 16 << 20;

#[cfg(feature = "live")]
/// Most bytes of a recording that wait to be written; with more, it ends. The line of the longest read has up to 1.5
/// MiB, since some bytes take six characters. At 40,000 requests in a second on two busy cores, up to 1.3 MiB waited.
pub(crate) const RECORDING_WAITS: usize = 4 * MIB;

#[cfg(feature = "live")]
/// Bytes of a recording that the loop collects before it hands them to the thread that writes them. A piece wakes the
/// thread, so a piece has the lines of some thirty small requests.
pub(crate) const RECORDING_PIECE: usize = 32 * KIB;

#[cfg(feature = "live")]
/// How long the start of a server waits until the first line of its recording is written, and its end until the rest
/// is; and how long a replay waits for the writer of a named pipe. A log has a second. A recording is often a bug
/// report that cannot be made again, and a disk that sleeps needs some seconds to start.
pub(crate) const RECORDING_PATIENCE: Duration = Duration::from_secs(5);
