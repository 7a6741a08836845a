//! Users in memory: an ordinary struct with ordinary methods.

use std::collections::BTreeMap;

use monoloop::limits::MAX_RESPONSE_BUFFER;
use monoloop::{Error, OptionExt, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The largest number of users. It is limited because all users are in memory.
const MAX_USERS: usize = 10_000;

/// The largest size of a user as JSON, in bytes.
const MAX_USER: usize = 512;

/// The list of all users, with its commas, fits in the largest reply from memory.
const _: () = assert!(MAX_USERS * (MAX_USER + 1) + r#"{"users":[]}"#.len() < MAX_RESPONSE_BUFFER);

/// A user as clients see it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct User {
    id: u64,
    #[serde(flatten)]
    fields: Fields,
}

/// The fields of a user that a client may set: any JSON object. A name or an email that is null counts as missing.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Fields {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<Value>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// The state: all users, and the id of the next user.
#[derive(Debug)]
pub(super) struct Users {
    by_id: BTreeMap<u64, User>,
    next_id: u64,
}

impl Default for Users {
    fn default() -> Self {
        let names = [("Alice", "alice@example.com"), ("Bob", "bob@example.com"), ("Charlie", "charlie@example.com")];
        let users = names.map(|(name, email)| Fields {
            name: Some(name.into()),
            email: Some(email.into()),
            others: Map::new(),
        });
        // This does not use `collect`, which would add the code of a sort to the executable file.
        let mut by_id = BTreeMap::new();
        by_id.extend((1..).zip(users).map(|(id, fields)| (id, User { id, fields })));
        Self { next_id: 1 + by_id.len() as u64, by_id }
    }
}

impl Users {
    pub(super) fn all(&self) -> Vec<&User> {
        self.by_id.values().collect()
    }

    pub(super) fn get(&self, id: u64) -> Result<&User> {
        self.by_id.get(&id).or_not_found("User not found")
    }

    pub(super) fn add(&mut self, fields: Fields) -> Result<&User> {
        if self.by_id.len() >= MAX_USERS {
            return Err(Error::new(507, format!("There are {MAX_USERS} users already: delete one first")));
        }
        let user = User::new(self.next_id, fields)?;
        self.next_id += 1;
        Ok(self.by_id.entry(user.id).or_insert(user))
    }

    /// Replaces the given fields and keeps the others.
    pub(super) fn change(&mut self, id: u64, given: Fields) -> Result<&User> {
        let user = self.by_id.get_mut(&id).or_not_found("User not found")?;
        let mut fields = user.fields.clone();
        fields.name = given.name.or(fields.name);
        fields.email = given.email.or(fields.email);
        fields.others.extend(given.others);
        *user = User::new(id, fields)?;
        Ok(user)
    }

    pub(super) fn remove(&mut self, id: u64) -> Result<User> {
        self.by_id.remove(&id).or_not_found("User not found")
    }
}

impl User {
    /// Makes a user, unless it is too large. The server chooses the id, so an `id` among the fields is dropped.
    fn new(id: u64, mut fields: Fields) -> Result<Self> {
        fields.others.remove("id");
        let user = Self { id, fields };
        if serde_json::to_vec(&user)?.len() > MAX_USER {
            return Err(Error::new(413, format!("A user may have at most {MAX_USER} bytes as JSON")));
        }
        Ok(user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(json: &str) -> Fields {
        serde_json::from_str(json).unwrap()
    }

    fn json(user: &User) -> String {
        serde_json::to_string(user).unwrap()
    }

    #[test]
    fn a_user_keeps_what_the_client_gave_and_its_own_id() {
        let mut users = Users::default();
        let user = users.add(fields(r#"{"age":36,"email":"d@example.com","id":"mine","name":"Dora","tags":[null]}"#));
        let expected = r#"{"id":4,"name":"Dora","email":"d@example.com","age":36,"tags":[null]}"#;
        assert_eq!(json(user.unwrap()), expected);
        assert_eq!(json(users.add(fields("{}")).unwrap()), r#"{"id":5}"#);
    }

    #[test]
    fn a_change_replaces_what_is_given() {
        let mut users = Users::default();
        let user = users.change(2, fields(r#"{"email":"b@example.org","id":9,"age":1}"#)).unwrap();
        assert_eq!(json(user), r#"{"id":2,"name":"Bob","email":"b@example.org","age":1}"#);
        assert_eq!(users.change(9, fields("{}")).unwrap_err().status(), 404);
    }

    #[test]
    fn ids_are_not_used_twice() {
        let mut users = Users::default();
        assert_eq!(users.add(fields("{}")).unwrap().id, 4);
        users.remove(4).unwrap();
        assert_eq!(users.remove(4).unwrap_err().status(), 404);
        assert_eq!(users.add(fields("{}")).unwrap().id, 5);
    }

    #[test]
    fn only_an_object_is_a_user() {
        for json in ["", "[]", r#"["Alice","a@example.com",{}]"#, "null", "1", "\"x\"", "{", "{}x"] {
            assert!(serde_json::from_str::<Fields>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut users = Users::default();
        let large = format!(r#"{{"name":"{}"}}"#, "x".repeat(MAX_USER));
        assert_eq!(users.add(fields(&large)).unwrap_err().status(), 413);
        assert_eq!(users.change(1, fields(&large)).unwrap_err().status(), 413);
        assert_eq!(json(users.get(1).unwrap()), r#"{"id":1,"name":"Alice","email":"alice@example.com"}"#);

        // Many small changes must not make a user too large either.
        let grow = |i: usize| fields(&format!(r#"{{"field{i}":{i}}}"#));
        let refused = (0..MAX_USER).find_map(|i| users.change(1, grow(i)).err());
        assert_eq!(refused.unwrap().status(), 413);

        while users.by_id.len() < MAX_USERS {
            let _ = users.add(fields("{}")).unwrap();
        }
        assert_eq!(users.add(fields("{}")).unwrap_err().status(), 507);
        users.remove(1).unwrap();
        assert!(users.add(fields("{}")).is_ok());
    }
}
