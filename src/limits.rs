//! Every constant of the system: its value, its unit, why it is what it is, and what other servers use.
//!
//! The ones that a user may change are defaults of [`Config`](crate::Config); the others are fixed, because nobody has
//! yet shown a reason to turn them.

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
pub const MAX_FIELDS: usize = 100;

/// Longest method token that is looked at before the request is refused with 501. The longest registered one
/// (`UPDATEREDIRECTREF`) has 17 letters.
pub const MAX_METHOD: usize = 32;

/// Empty lines that are skipped before a request line (RFC 9112 §2.2 says "at least one"); one more is a 400.
pub const MAX_EMPTY_LINES: u8 = 4;

/// Largest content that is buffered for a handler, in bytes; above it 413. nginx and Apache 1 MiB, Express 100 KiB.
pub const MAX_CONTENT: u64 = MIB as u64;

/// Most content that is ever buffered for a handler, in bytes, whatever is configured; above it 413. It lies in one piece,
/// and when it grows, a piece twice as long lies beside it: 512 MiB on 32 bits, and no limit at all on 64.
pub const MAX_BUFFERED: u64 = (usize::MAX / 8) as u64;

/// Longest chunk-size line in bytes, extensions included (RFC 9112 §7.1.1 asks for a limit). Node 16 KiB in total.
pub const MAX_CHUNK_LINE: u32 = 256;

/// Chunk extensions over a whole body, in bytes. Node 16 KiB, hyper 16 KiB.
pub const MAX_CHUNK_EXTENSIONS: u32 = 16 * KIB as u32;

/// Trailer section in bytes; above it 431.
pub const MAX_TRAILERS: u32 = 8 * KIB as u32;

/// Content that nobody reads (a 404 to a POST) is discarded up to this many bytes to keep the connection; a longer one
/// closes it after the reply.
pub const MAX_DISCARD: u64 = 64 * KIB as u64;

/// Bytes that are read and thrown away after an error reply, so that a reset does not take the reply from the client.
/// nginx bounds this by time alone (`lingering_time` 30 s).
pub const LINGER_BYTES: u32 = 64 * KIB as u32;

// ---- what we may send -------------------------------------------------------------------------------------------

/// Largest reply that a handler may write to memory, in bytes; above it its writer fails.
pub const MAX_RESPONSE_BUFFER: usize = 8 * MIB;

/// Content from this size on is queued as a segment of its own and written by vectored write instead of being copied
/// behind its head. Below it one copy is cheaper than one more `iovec`.
pub const SHARE_FROM: usize = 16 * KIB;

/// Owed bytes at which a connection is no longer read or parsed. Node's `highWaterMark` is 16 KiB, nginx's
/// `postpone_output` and h2o's pull limit are of the same order.
pub const HIGH_WATER: usize = 64 * KIB;

/// Bytes that a `BodySender` holds before it is full; the connection takes them as the client does. As [`HIGH_WATER`].
pub const CHANNEL_BYTES: usize = 64 * KIB;

/// Owed bytes below which it is read and parsed again.
pub const LOW_WATER: usize = 16 * KIB;

/// Most slices of one vectored write. Linux takes 1,024; past a few dozen nothing is gained.
pub const MAX_SLICES: usize = 16;

/// Bytes of a file that are sent in a turn while nobody else has anything to do. One such slice takes well under a
/// millisecond, so whoever comes meanwhile does not wait long. nginx 2 MiB (`sendfile_max_chunk`), Apache 16 MiB.
pub const FILE_TURN: usize = 2 * MIB;

/// Bytes of a file that are sent in a turn while others wait for theirs, or while the disk may have to be waited for. h2o
/// sends 64 KiB at a time, and pays for it in system calls.
pub const FILE_TURN_AMONG_OTHERS: usize = 256 * KIB;

/// Bytes of files that are sent in a tick in which everyone who has a turn is in the middle of a long reply: they share it,
/// within these two. Four turns of one alone: one to two milliseconds. nginx has no such bound: each sends 2 MiB.
pub const FILE_TICK: usize = 4 * FILE_TURN;

/// Bytes of a file that are read and written at a time where the kernel does not send files by itself.
pub const FILE_PIECE: usize = 64 * KIB;

// ---- static files -----------------------------------------------------------------------------------------------

/// Most parts in a `Range`; a field with more is ignored. Apache 200, nginx as many as there are bytes.
pub const MAX_RANGES: usize = 32;

/// Parts of a `Range` that are no further apart than this are sent as one: the head of a part takes about as many bytes
/// (RFC 9110 §15.3.7.2 says 80).
pub const RANGE_GAP: u64 = 80;

/// Files that are kept open, or in memory. nginx's `open_file_cache` has no default, its examples 1,000.
pub const CACHED_FILES: usize = 512;

/// A file up to this size is kept in memory, with its head: one write sends both. As [`SHARE_FROM`], above which more than
/// one slice is written.
pub const CACHED_FILE_BYTES: u64 = SHARE_FROM as u64;

/// Bytes of files in memory, all together.
pub const CACHE_BYTES: usize = 4 * MIB;

/// Names in a listing; the rest of a larger directory is left out, because nobody else is served while it is read.
pub const MAX_LISTED: usize = 2_000;

/// Symbolic links on the way to a file, as Linux has it (path_resolution(7)).
pub const MAX_LINKS: usize = 40;

// ---- the access log ---------------------------------------------------------------------------------------------

/// Lines that wait to be written; what comes beyond them is dropped.
pub const ACCESS_LOG_LINES: usize = 8 * 1024;

/// Bytes of lines that wait to be written; likewise. A line has some 200, but a client can make it longer than a head.
pub const ACCESS_LOG_BYTES: usize = 2 * MIB;

/// How long the end of a server waits for lines to be written.
pub const ACCESS_LOG_PATIENCE: Duration = Duration::from_secs(1);

// ---- buffers ----------------------------------------------------------------------------------------------------

/// Size of a fresh receive buffer; it doubles when a head does not fit. Nearly all do, and a client that sends half a
/// head and waits costs no more. nginx 1 KiB and then 8 KiB, Node 64 KiB.
pub const RECEIVE_BUFFER: usize = 4 * KIB;

/// Size of a fresh buffer for content that comes in pieces; it doubles with what has come.
pub const CONTENT_BUFFER: usize = 16 * KIB;

/// A read is never offered less room than this, except for the last bytes of a content of known length and of a limit.
pub const MIN_READ: usize = 2 * KIB;

/// Most room for one read of content, in bytes, so that a long content is not zeroed far ahead of what has come.
pub const MAX_READ: usize = 256 * KIB;

/// Bytes that the pools keep for the next storm; the rest goes back to the allocator.
pub const POOL_BYTES: usize = MIB;

/// Bytes in large buffers that a pool keeps while they are used again and again. Large contents would otherwise fetch their memory from
/// the kernel each time, page by page, which took half of the time of a 1 MiB echo.
pub const POOL_BUSY_BYTES: usize = 8 * MIB;

/// A buffer that has grown past this is large: it is kept only while it is used again and again, and lent only to who
/// needs so much.
pub const POOL_MAX_BUFFER: usize = 64 * KIB;

/// A buffer that has grown past this is not kept at all.
pub const POOL_LARGEST_BUFFER: usize = 2 * MIB;

// ---- the tick ---------------------------------------------------------------------------------------------------

/// Events taken from one poll. 12 KiB; more in one batch only delays the first.
pub const EVENTS: usize = 1024;

/// Connections accepted in one tick before those that are already here get their turn.
pub const ACCEPT_BUDGET: usize = 256;

/// Deadlines that are felt in one tick before those that have something to do get their turn: to close 10,000 sockets at
/// once takes 0.1 s.
pub const EXPIRE_BUDGET: usize = 256;

/// Letters of other threads, and tasks that they have posted, that are looked at in one tick before the sockets get their
/// turn again.
pub const POSTED_BUDGET: usize = 1024;

/// Timers of the application that are felt in one tick.
pub const TIMER_BUDGET: usize = 64;

/// Requests of one connection that are answered in one turn before its neighbours get theirs.
pub const TURN_REQUESTS: usize = 64;

/// Bytes read from one connection in one turn.
pub const TURN_BYTES: usize = 256 * KIB;

/// Queue of `listen(2)`; the kernel caps it at `net.core.somaxconn` (4096 by default). nginx 511, Node 511.
pub const BACKLOG: i32 = 4096;

/// Pause of accepting after `EMFILE` or `ENFILE`, unless a connection closes earlier. nginx 500 ms.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// Width of a slot of the timer wheel: nothing fires more than this late.
pub const WHEEL_SLOT: Duration = Duration::from_millis(250);

/// Slots of the timer wheel: 128 s; a later deadline is looked at once a round. A multiple of 64.
pub const WHEEL_SLOTS: usize = 512;

/// Most workers of a process: more than a machine has cores, and few enough to catch a slip of the pen. nginx has 1024,
/// too.
pub const MAX_WORKERS: usize = 1024;

// ---- time -------------------------------------------------------------------------------------------------------

/// No byte in or out on the socket, while nothing is owed to the client. Node's tutorial value; nginx `keepalive_timeout` 75 s, hyper none.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// From the first byte of a request head to its end. nginx 60 s, Node 60 s, hyper 30 s.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the content of a request may be behind its minimum rate: the grace at its start. Apache 20 s, Kestrel 5 s;
/// nginx and Node know only a pause (60 s) and a total (300 s).
pub const CONTENT_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes per second of content that a client has to send in the long run. Apache 500, Kestrel 240.
pub const MIN_CONTENT_RATE: u32 = 500;

/// How long a client may be behind the minimum rate at which it takes its replies. Long, because progress is seen only
/// when the kernel has room again, which may come in steps of 64 KiB. nginx `send_timeout` 60 s (a pause), Kestrel 5 s.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes per second of its replies that a client has to take in the long run. Kestrel 240.
pub const MIN_SEND_RATE: u32 = 500;

/// How long the application may take for a reply that it has deferred, or leave content paused. nginx
/// `proxy_read_timeout` 60 s, AWS's load balancers 60 s.
pub const REPLY_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a stream of events is silent before a comment is sent, so that neither the idle timeout nor a proxy takes it for
/// dead. WHATWG HTML §9.2.7 says "every 15 seconds or so"; axum 15 s.
pub const EVENT_HEARTBEAT: Duration = Duration::from_secs(15);

/// How long input is discarded after an error reply. nginx `lingering_timeout` 5 s, Apache 2 s.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(2);

/// How long an idle connection that the drain has half-closed may take to close its side.
pub const DRAIN_LINGER: Duration = Duration::from_secs(1);

/// From the start of a drain to the cut of what is left. The tutorial's 10 s; Kubernetes sends SIGKILL after 30 s.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
