//! Each socket sends a batch of messages with one write, and the next batch when all of them have come back.

use std::time::{Duration, Instant};

use crate::crowd::{Crowd, send};
use crate::open::{Target, check, content};
use crate::{Measure, Result, frame};

/// What is sent.
pub(crate) struct Load {
    pub(crate) connections: usize,
    pub(crate) opcode: u8,
    /// Bytes of a message.
    pub(crate) size: usize,
    /// Messages in a write.
    pub(crate) batch: usize,
}

pub(crate) fn echo(target: Target<'_>, load: &Load, warmup: Duration, seconds: Duration) -> Result<String> {
    let mut opened = target.open(load.connections)?;
    let content = content(load.size);
    for stream in &mut opened {
        check(stream, load.opcode, &content)?;
    }
    let batch = frame::masked(load.opcode, &content).repeat(load.batch);
    let answer = frame::plain(load.opcode, &content).len() * load.batch;
    let mut crowd = Crowd::new(opened)?;
    converse(&mut crowd, load.connections, &batch, answer, warmup)?;
    let measure = Measure::begin()?;
    let batches = converse(&mut crowd, load.connections, &batch, answer, seconds)?;
    Ok(format!("{{{}}}", measure.end("messages", batches * load.batch)?))
}

/// Lets all sockets ask for this long, and waits for the last answers. Returns the number of batches.
fn converse(crowd: &mut Crowd, count: usize, batch: &[u8], answer: usize, time: Duration) -> Result<usize> {
    let end = Instant::now() + time;
    let mut missing = vec![answer; count];
    let (mut asking, mut batches) = (count, 0);
    for index in 0..count {
        crowd.send(index, batch)?;
    }
    while asking > 0 {
        let is_over = Instant::now() > end;
        crowd.turn(|index, socket, length| {
            missing[index] = missing[index].checked_sub(length).ok_or("more comes back than was sent")?;
            if missing[index] > 0 {
                return Ok(());
            }
            batches += 1;
            if is_over {
                asking -= 1;
                return Ok(());
            }
            missing[index] = answer;
            send(socket, batch)
        })?;
    }
    Ok(batches)
}
