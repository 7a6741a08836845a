//! A protocol that does what its client says, and what the test has prepared for its other calls.

use std::io::{self, ErrorKind};
use std::time::Duration;

use super::Told;
use crate::exchange::{CloseReason, Output, Protocol};
use crate::h1::tests::app::App;
use crate::server::{MessageRecord, ProtocolClose};
use crate::{Request, Response, Result, Router};

/// Obeys each line; what is no command is sent back. A command is a word, and perhaps a number after a space.
pub(super) struct Obedient;

impl Protocol<App> for Obedient {
    fn on_data(&mut self, app: &mut App, bytes: &mut [u8], out: &mut Output<'_>) -> io::Result<usize> {
        app.live.told.push(Told::Data(bytes.to_vec()));
        let mut understood = 0;
        while let Some(end) = bytes[understood..].iter().position(|&byte| byte == b'\n') {
            let line = String::from_utf8_lossy(&bytes[understood..understood + end]).into_owned();
            understood += end + 1;
            obey(app, &line, out)?;
            if line == "pause" {
                break;
            }
        }
        Ok(understood)
    }

    fn on_writable(&mut self, app: &mut App, out: &mut Output<'_>) -> io::Result<()> {
        app.live.told.push(Told::Writable);
        obey_all(app, |app| &mut app.live.at_room, out)
    }

    fn on_alarm(&mut self, app: &mut App, out: &mut Output<'_>) -> io::Result<()> {
        app.live.told.push(Told::Alarm);
        obey_all(app, |app| &mut app.live.at_alarm, out)
    }

    fn on_end(&mut self, app: &mut App, out: &mut Output<'_>) -> io::Result<()> {
        app.live.told.push(Told::End);
        if !app.live.stays {
            out.close();
        }
        Ok(())
    }

    fn on_drain(&mut self, app: &mut App, out: &mut Output<'_>) -> io::Result<()> {
        app.live.told.push(Told::Drain);
        assert!(out.is_draining());
        obey_all(app, |app| &mut app.live.at_drain, out)
    }

    fn on_close(self: Box<Self>, app: &mut App, why: CloseReason) {
        app.live.told.push(Told::Closed(why));
        app.live.locals.iter().for_each(|waker| waker.wake());
    }
}

/// Obeys the commands for a call. They stay for the next call of this kind.
fn obey_all(app: &mut App, of: fn(&mut App) -> &mut Vec<&'static str>, out: &mut Output<'_>) -> io::Result<()> {
    let commands = of(app).clone();
    commands.iter().try_for_each(|command| obey(app, command, out))
}

fn obey(app: &mut App, line: &str, out: &mut Output<'_>) -> io::Result<()> {
    let (word, number) = line.split_once(' ').unwrap_or((line, "0"));
    let number = number.parse::<usize>().unwrap_or_default();
    let time = Duration::from_millis(number as u64);
    match word {
        "alarm" => out.set_alarm(time),
        "goodbye" => out.close_when(time),
        "pause" => app.live.resumers.push(out.pause()),
        "memory" => out.set_memory(number),
        "write" => out.write(vec![b'x'; number]),
        "idle" => out.set_idle_timeout(time),
        "local" => app.live.locals.push(out.local_waker()),
        "silence" => out.write(format!("{} ms\n", out.silence().as_millis())),
        "who" => out.write(format!("{} {}\n", out.id(), out.peer())),
        "late" => return Err(ErrorKind::TimedOut.into()),
        "close" => out.close(),
        "report" => {
            out.report_message(MessageRecord { received: true, is_text: false, bytes: number as u64 });
            out.report_close(&ProtocolClose { code: 1001, reason: "as asked", by_client: true });
        }
        _ => out.write(format!("{line}\n")),
    }
    Ok(())
}

pub(super) fn obedient(app: &mut Router<App>) {
    app.upgrade("/obedient", "echo", |app: &mut App, _: &Request<'_>, res: Response<'_>| -> Result<_> {
        app.live.upgraded += 1;
        Ok((res, Obedient))
    });
}
