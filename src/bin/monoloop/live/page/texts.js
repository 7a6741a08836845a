// What the page says in words: the phases, the parts of the tick, and what each experiment shows. The terms are those
// of docs/ARCHITECTURE.md.

/** The phases: letter, name, and what it means. The letter says what the colour says. */
export const PHASES = {
  fresh: ['F', 'fresh', 'accepted, and nothing has come yet'],
  idle: ['I', 'idle', 'between two requests; it holds no buffer'],
  head: ['H', 'head', 'some bytes of a request head have come'],
  exchange: ['X', 'exchange', 'the content of a request or its reply is still to come'],
  sending: ['S', 'sending', 'whole replies are queued, and the kernel has not taken all of them'],
  upgraded: ['U', 'upgraded', 'another protocol has taken over, such as WebSocket'],
  ending: ['E', 'ending', 'the last reply is queued, and input is thrown away'],
  halfclosed: ['L', 'lingering', 'all is sent and our side is closed; the client has time to take it'],
  closed: ['C', 'closed', 'it is marked, and leaves the slab in the next reap'],
};

/** What a slot shows besides its phase: class, name, and what it means. */
export const SIGNS = [
  ['held', 'held', 'it owes so much that it is not read'],
  ['queued', 'queued', 'it waits for its next turn'],
];

/** The parts of the tick, in their order, and what the loop does in each. */
export const PARTS = {
  waiting: 'sleeps in the poll until the kernel reports something',
  events: 'notes which sockets are ready',
  accept: 'takes new connections from the kernel',
  pump: 'gives turns: reads, parses, calls handlers, writes',
  post: 'delivers letters, runs posted tasks',
  timers: 'runs timers of the application',
  expire: 'ends connections whose deadline has passed',
  drain: 'takes the next step of a drain',
  reap: 'removes what has ended from the slab',
};

/** The timeouts that can be next, as the end of a sentence. */
export const TIMEOUTS = {
  idle: 'the idle timeout',
  head: 'the head timeout: the whole head must have come by then',
  content: 'the content timeout: content must come faster',
  send: 'the send timeout: the client must take its replies faster',
  reply: 'the reply timeout: the application must have replied by then',
  linger: 'the linger timeout: then the socket is closed',
};

/** The queues: a name and a meaning for each. */
export const QUEUES = {
  polite: ['polite', 'connections that wait for a turn and have not used up their last ones; they are first. Those of '
    + 'the polite clients pass through it within a tick, so it is empty between two ticks'],
  new: ['new', 'connections that wait for a turn and have neither read nor written yet'],
  used_up: ['used up', 'connections that wait for a turn and have used up one, with work left over; they are last'],
  letters: ['letters', 'answers and wake-ups for connections, which wait for delivery'],
  ended: ['ended', 'connections that are over and wait for the reap'],
};

/** The counters, and what each counts. */
export const COUNTS = {
  'requests per second': 'replies whose last byte the kernel has taken, in a second',
  replies: 'replies whose last byte the kernel has taken',
  'cut short': 'replies that were not sent as a whole',
  failed: 'requests that were answered with an error',
  accepted: 'connections that were taken from the kernel',
  ended: 'connections that are over, for any reason',
  timeouts: 'deadlines that have passed, by the timeout',
  messages: 'messages of WebSockets, in both directions',
  received: 'bytes of requests',
  sent: 'bytes of replies',
};

export const STAGES = {
  serving: 'serving',
  delayed: 'drain: delayed',
  grace: 'drain: grace',
  closing: 'drain: closing',
  ended: 'ended',
  unknown: 'no connection',
};

/** What will be seen after a click, and why. */
export const LESSONS = {
  polite: 'Fifty slots fill up, and nearly all are idle (I): each client asks twice a second, and is answered '
    + 'within one turn. An idle connection holds no buffer and costs nothing until its next event. One thread '
    + 'is enough.',
  slow: 'A client asks for 64 MiB and takes little. First the buffers of the kernel fill. Then the slot owes what'
    + ' the kernel does not take, and is held (a bar in the slot): it is not read, and nothing more is made for'
    + ' it, until less than the low-water mark is owed. This is backpressure: its memory is bounded, and all '
    + 'others go on. The kernel tells the server of room only when a third of its buffer is free. So “silent '
    + 'for” grows, and the deadline moves only about every 10 s.',
  drip: 'One slot stays within a head (H) and gets a byte each 250 ms. Each byte is activity, so the idle timeout'
    + ' moves. The head timeout does not: 10 s after the first byte the client gets a 408. It does not '
    + 'close its side, so the connection lingers (L) until the linger timeout of 2 s. In slow motion the clock '
    + 'of the loop stands still between two ticks: all of this comes later, and the client may end before it.',
  pipeline: 'After half a second 64 requests come in one read. They are parsed and answered in one turn, in their '
    + 'order, and all 64 replies leave with one write. Look at the part pump: it grows once, and then the loop '
    + 'sleeps again.',
  broadcast: 'Slots become upgraded (U), one after the other. A message comes in the pump, is encoded once for the '
    + 'room, and leaves a letter for each member. Look at post: it delivers them, and each member writes the '
    + 'same bytes there.',
  block: 'The handler sleeps for 2 s on the thread of the loop. Nobody is served, and no picture comes: '
    + 'everybody waits. Start 50 polite clients first; a sentence tells what they measure. Of the times that the '
    + 'server measures, only that of the request that blocked shows 2 s. The others waited in the kernel, where '
    + 'the server cannot see them, so their times look short: a server cannot measure the time in which it was '
    + 'blind. The strip shows it as one column of 2 s. The loop does not hold the time that it lost against '
    + 'those that had to wait.',
  stop: 'All clients of this page end. Their connections are closed by the client between two requests, or early.',
  drain: 'The listeners are closed. Idle connections have a grace of 500 ms for one more request, replies say '
    + 'Connection: close, and when the slab is empty the loop returns and the command ends.',
  speed: 'Slow motion: the loop waits between two ticks, and each picture shows one tick. Its clock stands still '
    + 'meanwhile, so no deadline passes because of the wait.',
  pause: 'The loop stops before its next tick. The kernel goes on: it accepts connections into the backlog and '
    + 'takes bytes into the sockets. Press “One tick” to see what the next poll brings.',
  step: 'One tick: a poll that waits for an event for at most 250 ms, and all work that it brought.',
  resume: 'The loop goes on.',
};
