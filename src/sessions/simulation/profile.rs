//! The kind of world that a seed makes: the settings of the server, the sizes of the kernel's queues, and the clients.

use std::time::Duration;

use super::client::{Client, Manner};
use super::kernel::{Flavour, Sizes};
use super::random::Random;
use super::script::{Script, Taste};
use crate::config::Config;
use crate::http::Moment;

/// The largest content of a reply to any crowd.
const LARGEST_REPLY: usize = 300_000;

#[derive(Debug)]
pub(super) struct Profile {
    pub(super) config: Config,
    pub(super) clients: usize,
    /// The largest number of events in a poll.
    pub(super) batch: usize,
    pub(super) interruptions: usize,
    /// In how many of a hundred ticks a signal comes.
    pub(super) signals: usize,
    /// In how many of a hundred ticks the process is stopped for a while.
    pub(super) stops: usize,
    pub(super) bustle: usize,
    /// In how many of a hundred cases the server is late by a part of a second.
    pub(super) late: usize,
    /// The longest time that a call into the application takes.
    pub(super) price: Duration,
    /// The longest time by which the application puts something off.
    pub(super) longest: Duration,
    pub(super) observed: bool,
    /// The number of ticks after which the server drains.
    pub(super) drains_after: Option<usize>,
    /// The server drains in the first tick in which a turn was not enough for some session.
    pub(super) drains_when_busy: bool,
    /// The drain is cut as soon as a turn is not enough for some session, not only when the drain's time is over.
    pub(super) impatient: bool,
    crowd: Crowd,
}

/// What most clients of a world do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Crowd {
    /// They have short scripts and small pieces, and anything can go wrong.
    Mixed,
    /// They send many small requests at once: more than fit into a turn.
    Pipelines,
    /// They send and receive large content: more than fits into a turn, and more than the high-water mark.
    Large,
    /// They break rules, go on sending and do not read.
    Hostile,
    /// They leave long pauses.
    Slow,
    /// They ask for much content and read a little of it now and then.
    Lazy,
    /// Most of their requests take time.
    Lasting,
}

impl Profile {
    pub(super) fn new(random: &mut Random) -> Self {
        let lasting = Crowd::Lasting;
        let crowds = [Crowd::Pipelines, Crowd::Large, Crowd::Hostile, Crowd::Slow, Crowd::Lazy, lasting, lasting];
        let crowd = if random.percent(30) { Crowd::Mixed } else { random.pick(&crowds) };
        let seconds = |millis: usize| Duration::from_millis(millis as u64);
        let mut config = Config::default();
        if random.percent(60) {
            config.idle_timeout = seconds(random.pick(&[600, 1_000, 2_500, 5_000, 140_000]));
            config.head_timeout = seconds(random.pick(&[400, 1_000, 3_000, 10_000]));
            config.content_timeout = seconds(random.pick(&[300, 1_000, 10_000]));
            config.min_content_rate = random.pick(&[0, 500, 20_000]);
            config.send_timeout = seconds(random.pick(&[400, 2_000, 60_000]));
            config.min_send_rate = random.pick(&[0, 500, 20_000]);
            config.linger_timeout = seconds(random.pick(&[300, 1_000, 2_000]));
            config.reply_timeout = seconds(random.pick(&[300, 1_000, 5_000, 60_000]));
            config.drain_timeout = seconds(random.pick(&[0, 5, 200, 1_000, 10_000]));
            config.drain_grace = seconds(random.pick(&[0, 0, 3, 100, 500, 3_000]));
            config.keep_alive_timeout = random.percent(30).then(|| seconds(random.pick(&[300, 1_000, 4_000])));
        }
        config.max_head = random.pick(&[400, 1_000, 5_000, 16_384]);
        config.max_content = random.pick(&[50, 3_000, 70_000, 1 << 20, 1 << 20, 1 << 20]);
        config.max_memory = memory(random);
        let most = if crowd == Crowd::Large { 4 } else { 12 };
        Self {
            config,
            clients: random.size(most),
            batch: random.pick(&[1, 2, 3, 8, 1024]),
            interruptions: random.pick(&[0, 0, 1, 10, 30]),
            signals: random.pick(&[0, 0, 0, 5, 30]),
            stops: random.pick(&[0, 0, 0, 0, 1, 5]),
            bustle: random.pick(&[0, 10, 30, 60]),
            late: random.pick(&[0, 0, 1, 5]),
            price: Duration::from_micros(random.pick(&[0, 0, 50, 500, 4_000, 20_000]) as u64),
            longest: seconds(random.pick(&[1, 300, 3_000, 20_000])),
            observed: random.percent(50),
            drains_after: random.percent(25).then(|| random.size(200)),
            drains_when_busy: random.percent(15),
            impatient: random.percent(30),
            crowd,
        }
    }

    pub(super) fn client(&self, random: &mut Random, number: usize, start: Moment) -> Client {
        // Now and then a client behaves as another crowd does.
        let crowd = match self.crowd {
            Crowd::Mixed if random.percent(10) => Crowd::Hostile,
            crowd if random.percent(80) => crowd,
            _ => Crowd::Mixed,
        };
        let taste = self.taste(random, crowd);
        let script = Script::new(random, number, &taste, &self.config);
        let length = script.stream.len();
        let mut manner = Manner {
            send: random.pick(&[1 + length / 100, 100, 1 << 10, 16 << 10, 1 << 20]),
            receive: random.pick(&[200, 2 << 10, 20 << 10, 1 << 20]),
            orderly: random.percent(40),
            pauses: random.pick(&[0, 0, 5, 30]),
            pause: Duration::from_millis(random.pick(&[1, 20, 500]) as u64),
            window: random.pick(&[1, 1, 2, 3, 1000, 1000]),
            impatient: random.percent(30),
            deaf: random.percent(10),
            fin_at: random.percent(15).then(|| random.below(length + 1)),
            fin_when_done: random.percent(50),
            reset_at: random.percent(7).then(|| random.below(length + 1)),
            silent_at: random.percent(7).then(|| random.below(length + 1)),
            urgent: random.pick(&[0, 0, 0, 20]),
            may_be_refused: self.config.max_memory.is_some(),
        };
        if random.percent(15) {
            manner.fin_at = Some(length);
        }
        match crowd {
            Crowd::Pipelines => {
                (manner.window, manner.send) = (1000, random.pick(&[500, 5_000, 1 << 20]));
                manner.orderly = false;
            }
            Crowd::Large => manner.send = random.pick(&[8 << 10, 64 << 10, 1 << 20]),
            Crowd::Hostile => (manner.deaf, manner.window) = (random.percent(60), 1000),
            Crowd::Slow => {
                manner.pauses = random.pick(&[20, 60]);
                manner.pause = Duration::from_millis(random.pick(&[500, 3_000, 12_000, 40_000]) as u64);
            }
            Crowd::Lazy => {
                manner.receive = random.pick(&[100, 1_000, 10_000]);
                manner.pauses = 90;
                manner.pause = Duration::from_millis(random.pick(&[100, 1_000, 5_000]) as u64);
            }
            Crowd::Mixed | Crowd::Lasting => {}
        }
        // Larger pieces keep a schedule below a million steps.
        manner.send = manner.send.max(length / 300);
        manner.receive = manner.receive.max(self.reply(crowd) / 100);
        let connects_at = start + Duration::from_micros(random.size(200_000) as u64 - 1);
        Client::new(number, script, manner, connects_at)
    }

    fn taste(&self, random: &mut Random, crowd: Crowd) -> Taste {
        let plain = Taste {
            messages: 8,
            content: 20_000,
            reply: self.reply(crowd),
            files: 10,
            odd: 30,
            lasting: 30,
            ending: 20,
            full: 0,
            broken: 15,
            junk: 3_000,
        };
        match crowd {
            Crowd::Mixed => plain,
            Crowd::Pipelines => Taste { messages: 300, content: 50, reply: 300, files: 3, odd: 1, ending: 10, ..plain },
            Crowd::Large => Taste { messages: 5, content: 500_000, files: 40, odd: 40, lasting: 70, full: 30, ..plain },
            Crowd::Hostile => {
                let junk = random.pick(&[300, 10_000, 150_000]);
                Taste { messages: 4, odd: 50, ending: 50, broken: 60, junk, ..plain }
            }
            Crowd::Slow => Taste { messages: 5, ..plain },
            Crowd::Lazy => Taste { messages: 10, content: 3_000, files: 25, odd: 40, lasting: 70, ..plain },
            Crowd::Lasting => {
                let content = random.pick(&[500, 20_000, 200_000]);
                Taste { odd: 90, lasting: 95, content, ending: 15, ..plain }
            }
        }
    }

    /// The largest content of a reply to this crowd.
    fn reply(&self, crowd: Crowd) -> usize {
        match crowd {
            Crowd::Mixed | Crowd::Slow => 60_000,
            Crowd::Lasting => 150_000,
            Crowd::Pipelines => 300,
            Crowd::Large => LARGEST_REPLY,
            Crowd::Lazy => 150_000,
            Crowd::Hostile => 100_000,
        }
    }

    pub(super) fn socket(&self, random: &mut Random) -> (Flavour, Sizes) {
        let flavour = if random.percent(75) { Flavour::Tcp } else { Flavour::Unix };
        let tiny = self.crowd != Crowd::Large && random.percent(20);
        let mut size = || match tiny {
            true => random.within(100..=3_000),
            false if self.crowd == Crowd::Large => {
                random.pick(&[16 << 10, 64 << 10, 64 << 10, 512 << 10, 512 << 10, 4 << 20])
            }
            false => random.pick(&[2 << 10, 8 << 10, 64 << 10]),
        };
        let (received, sending, arrived) = (size(), size(), size());
        (flavour, Sizes { received, sending, arrived })
    }
}

/// Little memory in some worlds. What the clients do does not depend on it, so a seed can be compared with and without.
fn memory(random: &Random) -> Option<usize> {
    let mut aside = Random::new(!random.clone().next());
    aside.percent(15).then(|| aside.pick(&[30_000, 100_000, 300_000]))
}
