use std::io::ErrorKind;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use super::*;

/// The longest wait.
const LIMIT: Duration = Duration::from_secs(10);

/// A file in memory.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Paper {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).expect("lines are UTF-8")
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A place that reports each write and then waits until the gate is open.
struct Gated {
    paper: Paper,
    stands: Sender<()>,
    opens: Receiver<()>,
}

impl Write for Gated {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.stands.send(());
        // Once the sender is dropped, the gate stays open.
        let _ = self.opens.recv_timeout(LIMIT);
        self.paper.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn notice(lost: u64) -> String {
    format!("{lost} lost\n")
}

/// A writer that waits at a closed gate to write its first line. Dropping the sender opens the gate.
fn blocked() -> (LogWriter, Paper, Sender<()>) {
    let (stands, has_come) = mpsc::channel();
    let (gate, opens) = mpsc::channel();
    let paper = Paper::default();
    let log = LogWriter::new(Gated { paper: paper.clone(), stands, opens }, notice).unwrap();
    log.push("first\n");
    has_come.recv_timeout(LIMIT).expect("the thread gets the line");
    (log, paper, gate)
}

#[test]
fn lines_that_come_faster_than_they_are_written_are_lost_counted_and_told() {
    let (log, paper, gate) = blocked();
    let queue = Arc::clone(log.queue());
    for number in 0..LOG_LINES + 5 {
        log.push(format!("{number}\n"));
    }
    assert_eq!(queue.lock().lost, 5);
    drop(gate);
    drop(log);
    let expected: String = (0..LOG_LINES).map(|number| format!("{number}\n")).collect();
    assert!(paper.text() == format!("first\n{expected}5 lost\n"), "every queued line is written, and then the loss");
    assert_eq!(queue.lock().lost, 0, "it was told");
}

#[test]
fn a_loss_is_told_while_the_log_goes_on() {
    let (mut log, paper, gate) = blocked();
    (0..LOG_LINES + 2).for_each(|_| log.push("x\n"));
    drop(gate);
    log.finish();
    assert!(paper.text().ends_with("x\n2 lost\n"), "there was room again");
    log.write_all(b"last\n").unwrap();
    log.flush().unwrap();
    log.finish();
    assert!(paper.text().ends_with("x\n2 lost\nlast\n"), "a loss is told once");
}

/// If the thread wrote all lines first, no line might come any more after which the loss is told.
#[test]
fn a_loss_is_counted_before_the_thread_goes_on() {
    let (log, paper, gate) = blocked();
    (0..LOG_LINES).for_each(|_| log.push("x\n"));
    let refused = log.queue().try_put(b"lost\n".to_vec()).expect_err("it is full");
    drop(gate);
    assert!(log.queue().state.try_lock().is_err(), "the thread cannot take a line");
    drop(refused);
    log.finish();
    assert_eq!(paper.text().lines().count(), 1 + LOG_LINES);
}

#[test]
fn long_lines_are_lost_before_they_take_much_memory() {
    let (log, paper, gate) = blocked();
    let queue = Arc::clone(log.queue());
    let long = "x".repeat(LOG_BYTES / 10);
    (0..20).for_each(|_| log.push(long.clone()));
    // The line that the thread has taken is not queued any more.
    assert_eq!(queue.lock().lost, 10);
    drop(gate);
    drop(log);
    assert_eq!(paper.text().len(), "first\n".len() + 10 * long.len() + "10 lost\n".len());
    assert_eq!(queue.lock().bytes, 0);
}

#[test]
fn finish_waits_for_the_lines_of_all_clones() {
    let (log, paper, gate) = blocked();
    log.clone().push("second\n");
    let (begun, begins) = mpsc::channel::<()>();
    let opener = thread::spawn(move || {
        let _ = begins.recv_timeout(LIMIT);
        drop(gate);
    });
    assert_eq!(paper.text(), "");
    drop(begun);
    log.finish();
    assert_eq!(paper.text(), "first\nsecond\n");
    opener.join().unwrap();
}

#[test]
fn finish_does_not_wait_for_ever() {
    let (log, paper, gate) = blocked();
    let before = Instant::now();
    log.finish();
    let waited = before.elapsed();
    assert!(waited >= LOG_PATIENCE, "{waited:?}");
    assert!(waited < 20 * LOG_PATIENCE, "{waited:?}");
    assert_eq!(paper.text(), "");
    drop(gate);
}

#[test]
fn dropping_the_last_clone_waits_until_the_queued_lines_are_written() {
    let (log, paper, gate) = blocked();
    log.push("last\n");
    let (clone, (begun, begins)) = (log.clone(), mpsc::channel::<()>());
    let opener = thread::spawn(move || {
        let _ = begins.recv_timeout(LIMIT);
        drop(gate);
    });
    drop(log);
    assert_eq!(paper.text(), "", "a clone is left");
    drop(begun);
    drop(clone);
    assert_eq!(paper.text(), "first\nlast\n");
    opener.join().unwrap();
}

#[test]
fn dropping_the_last_clone_does_not_wait_for_ever() {
    let (log, paper, gate) = blocked();
    let before = Instant::now();
    drop(log);
    let waited = before.elapsed();
    assert!(waited >= LOG_PATIENCE, "{waited:?}");
    assert!(waited < 20 * LOG_PATIENCE, "{waited:?}");
    assert_eq!(paper.text(), "");
    drop(gate);
}

/// A disk that is full for the given number of writes.
struct Full(usize, Paper);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return self.1.write(bytes);
        }
        self.0 -= 1;
        Err(ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn after_a_full_disk_later_lines_are_written_whole() {
    for failures in [1, 3, usize::MAX] {
        let paper = Paper::default();
        let log = LogWriter::start("log", LOG, Full(failures, paper.clone()), |_| None).unwrap();
        for number in 0..1000 {
            log.push(format!("line {number}\n"));
        }
        drop(log);
        let text = paper.text();
        assert_eq!(text.is_empty(), failures == usize::MAX, "{failures} failures");
        assert!(text.is_empty() || text.ends_with("line 999\n"), "{failures} failures");
        assert!(text.lines().all(|line| line.starts_with("line ") && line[5..].parse::<u32>().is_ok()), "{text}");
    }
}

/// A place that panics.
struct Broken;

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        std::panic::resume_unwind(Box::new("as asked"))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_place_that_panics_loses_lines_and_does_no_other_harm() {
    let log = LogWriter::new(Broken, notice).unwrap();
    let before = Instant::now();
    log.push("first\n");
    while !log.queue().lock().has_ended {
        assert!(before.elapsed() < LIMIT, "the thread does not end");
        log.finish();
    }
    log.push("second\n");
    assert_eq!(log.queue().lock().lost, 1);
    log.finish();
    drop(log);
    assert!(before.elapsed() < LIMIT, "neither waits for a thread that is gone");
}

/// As the recording of a loop uses the queue, which has no line that may get lost.
#[cfg(feature = "live")]
#[test]
fn a_queue_refuses_what_does_not_fit_and_still_takes_the_last_line() {
    let (stands, has_come) = mpsc::channel();
    let (gate, opens) = mpsc::channel::<()>();
    let paper = Paper::default();
    let bounds = Bounds { bytes: 10, ..LOG };
    let out = Gated { paper: paper.clone(), stands, opens };
    let queue = Queue::start("test", bounds, out, |_| None).unwrap();
    assert!(queue.offer(b"first\n".to_vec()));
    has_come.recv_timeout(LIMIT).expect("the thread gets the line");
    assert!(queue.offer(b"12345\n".to_vec()));
    assert!(!queue.offer(b"6789\n".to_vec()), "11 bytes would wait");
    assert!(queue.offer(b"678\n".to_vec()));
    queue.push_last(b"the end\n".to_vec());
    queue.close();
    assert_eq!(queue.lock().lost, 0, "a refusal is no loss");
    drop(gate);
    assert!(queue.finish());
    assert_eq!(paper.text(), "first\n12345\n678\nthe end\n");
    assert!(queue.lock().has_ended && !queue.offer(b"x".to_vec()), "the thread is gone");
}
