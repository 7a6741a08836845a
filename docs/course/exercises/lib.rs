//! The exercises are tests: each folder has an `exercise.rs` for you, and a `test.rs` that says when it is solved.
