//! The settings of a server in the first line of a recording, each with its name. Times are in nanoseconds.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::config::Config;

/// The settings as a JSON object.
pub(super) fn to_json(config: &Config) -> Value {
    // A new setting does not compile until it is here.
    let Config {
        max_target,
        max_head,
        max_content,
        max_response_buffer,
        idle_timeout,
        keep_alive_timeout,
        head_timeout,
        content_timeout,
        min_content_rate,
        send_timeout,
        min_send_rate,
        reply_timeout,
        linger_timeout,
        drain_timeout,
        drain_grace,
        drain_delay,
        max_memory,
        max_connections,
        backlog,
        nodelay,
        server_name,
        signals,
        raise_descriptor_limit,
    } = config;
    serde_json::json!({
        "max_target": max_target,
        "max_head": max_head,
        "max_content": max_content,
        "max_response_buffer": max_response_buffer,
        "idle_timeout": nanos(*idle_timeout),
        "keep_alive_timeout": keep_alive_timeout.map(nanos),
        "head_timeout": nanos(*head_timeout),
        "content_timeout": nanos(*content_timeout),
        "min_content_rate": min_content_rate,
        "send_timeout": nanos(*send_timeout),
        "min_send_rate": min_send_rate,
        "reply_timeout": nanos(*reply_timeout),
        "linger_timeout": nanos(*linger_timeout),
        "drain_timeout": nanos(*drain_timeout),
        "drain_grace": nanos(*drain_grace),
        "drain_delay": nanos(*drain_delay),
        "max_memory": max_memory,
        "max_connections": max_connections,
        "backlog": backlog,
        "nodelay": nodelay,
        "server_name": server_name,
        "signals": signals,
        "raise_descriptor_limit": raise_descriptor_limit,
    })
}

/// The settings of a recording. A setting that it lacks has its default: the recording is older than the setting.
///
/// # Errors
/// The name of the setting that is no such value.
pub(super) fn from_json(recorded: &Map<String, Value>) -> Result<Config, &'static str> {
    let mut json = to_json(&Config::default());
    let json = json.as_object_mut().expect("the settings are an object");
    json.extend(recorded.clone());
    Ok(Config {
        max_target: size(json, "max_target")?,
        max_head: size(json, "max_head")?,
        max_content: number(json, "max_content")?,
        max_response_buffer: size(json, "max_response_buffer")?,
        idle_timeout: time(json, "idle_timeout")?,
        keep_alive_timeout: optional(json, "keep_alive_timeout", time)?,
        head_timeout: time(json, "head_timeout")?,
        content_timeout: time(json, "content_timeout")?,
        min_content_rate: rate(json, "min_content_rate")?,
        send_timeout: time(json, "send_timeout")?,
        min_send_rate: rate(json, "min_send_rate")?,
        reply_timeout: time(json, "reply_timeout")?,
        linger_timeout: time(json, "linger_timeout")?,
        drain_timeout: time(json, "drain_timeout")?,
        drain_grace: time(json, "drain_grace")?,
        drain_delay: time(json, "drain_delay")?,
        max_memory: optional(json, "max_memory", size)?,
        max_connections: optional(json, "max_connections", size)?,
        backlog: json.get("backlog").and_then(Value::as_i64).and_then(|n| i32::try_from(n).ok()).ok_or("backlog")?,
        nodelay: flag(json, "nodelay")?,
        server_name: match json.get("server_name") {
            Some(Value::Null) => None,
            Some(Value::String(name)) => Some(name.clone()),
            _ => return Err("server_name"),
        },
        signals: flag(json, "signals")?,
        raise_descriptor_limit: flag(json, "raise_descriptor_limit")?,
    })
}

type Read<T> = Result<T, &'static str>;

pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn number(json: &Map<String, Value>, name: &'static str) -> Read<u64> {
    json.get(name).and_then(Value::as_u64).ok_or(name)
}

fn size(json: &Map<String, Value>, name: &'static str) -> Read<usize> {
    usize::try_from(number(json, name)?).map_err(|_| name)
}

fn rate(json: &Map<String, Value>, name: &'static str) -> Read<u32> {
    u32::try_from(number(json, name)?).map_err(|_| name)
}

fn time(json: &Map<String, Value>, name: &'static str) -> Read<Duration> {
    number(json, name).map(Duration::from_nanos)
}

fn flag(json: &Map<String, Value>, name: &'static str) -> Read<bool> {
    json.get(name).and_then(Value::as_bool).ok_or(name)
}

fn optional<T>(
    json: &Map<String, Value>,
    name: &'static str,
    read: impl Fn(&Map<String, Value>, &'static str) -> Read<T>,
) -> Read<Option<T>> {
    match json.get(name) {
        Some(Value::Null) => Ok(None),
        _ => read(json, name).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_comes_back() {
        let config = Config::new()
            .max_head(9)
            .keep_alive_timeout(Duration::from_millis(7))
            .max_memory(5)
            .server_name(None)
            .signals(false);
        let config = Config { backlog: 3, ..config };
        for config in [config, Config::default()] {
            let Value::Object(json) = to_json(&config) else { panic!("no object") };
            assert_eq!(format!("{:?}", from_json(&json)), format!("{:?}", Ok::<_, ()>(&config)));
            for name in json.keys() {
                let mut less = json.clone();
                less.insert(name.clone(), Value::from(vec![1]));
                assert_eq!(from_json(&less).unwrap_err(), name);
            }
        }
    }

    #[test]
    fn a_setting_that_is_newer_than_the_recording_has_its_default() {
        let config = Config::new().max_head(9).linger_timeout(Duration::from_millis(7)).server_name("shop");
        let (Value::Object(all), Value::Object(defaults)) = (to_json(&config), to_json(&Config::default())) else {
            panic!("no object")
        };
        for name in all.keys() {
            let (mut older, mut expected) = (all.clone(), all.clone());
            older.remove(name);
            expected.insert(name.clone(), defaults[name].clone());
            assert_eq!(from_json(&older).map(|config| to_json(&config)).ok(), Some(Value::Object(expected)), "{name}");
        }
    }
}
