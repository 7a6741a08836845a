//! What the parts of an application hand on to each other with a request.

use std::any::Any;
use std::cell::OnceCell;
use std::fmt;
use std::rc::Rc;

use super::dispose;

/// Values of any type. A value that is here stays until the request has been answered, so it can be lent out while
/// others are added. That is why this is a list to which one can only append.
///
/// Few requests have any, and those that have none pay for one pointer. A reply that is put off shares the list.
#[derive(Clone, Default)]
pub(crate) struct Data(OnceCell<Rc<Node>>);

struct Node<T: ?Sized = dyn Any> {
    next: Data,
    value: T,
}

impl Data {
    /// Appends a value.
    pub(super) fn add(&self, value: impl Any) {
        let mut list = self;
        while let Some(node) = list.0.get() {
            list = &node.next;
        }
        // The end of the list is free: nothing else runs in between.
        let _ = list.0.set(Rc::new(Node { next: Self::default(), value }));
    }

    /// The value of this type that was added last.
    pub(super) fn get<T: Any>(&self) -> Option<&T> {
        let (mut list, mut found) = (self, None);
        while let Some(node) = list.0.get() {
            found = node.value.downcast_ref().or(found);
            list = &node.next;
        }
        found
    }
}

/// The values are of the application, so their ends may panic.
impl Drop for Data {
    #[inline]
    fn drop(&mut self) {
        if let Some(node) = self.0.take() {
            drop_guarded(node);
        }
    }
}

/// Drops a list, unless others share it. One value comes after the other: if each dropped the next one, a long list
/// would need much of the stack.
#[cold]
fn drop_guarded(first: Rc<Node>) {
    let mut list = Some(first);
    while let Some(mut node) = list {
        list = Rc::get_mut(&mut node).and_then(|node| node.next.0.take());
        dispose(node);
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.get().is_some() { "Data" } else { "no data" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_of_a_type_counts_and_earlier_ones_can_still_be_used() {
        let data = Data::default();
        assert_eq!(data.get::<u32>(), None);
        data.add(1_u32);
        let first = data.get::<u32>();
        data.add("text");
        data.add(2_u32);
        assert_eq!((first, data.get::<u32>(), data.get::<&str>()), (Some(&1), Some(&2), Some(&"text")));
        assert_eq!(data.get::<i32>(), None);
    }

    #[test]
    fn each_value_is_dropped_though_others_panic() {
        struct Panics {
            _kept: Rc<()>,
        }
        impl Drop for Panics {
            fn drop(&mut self) {
                std::panic::resume_unwind(Box::new("as asked"));
            }
        }
        let (data, kept) = (Data::default(), Rc::new(()));
        for _ in 0..100 {
            data.add(Panics { _kept: Rc::clone(&kept) });
        }
        let shared = data.clone();
        drop(data);
        assert_eq!(Rc::strong_count(&kept), 101, "the other list still has them");
        drop(shared);
        assert_eq!(Rc::strong_count(&kept), 1);
    }

    /// A stack that overflows ends the process.
    #[test]
    fn a_long_list_is_dropped_on_a_small_stack() {
        let fill_and_drop = || {
            let data = Data::default();
            (0..5_000_u32).for_each(|value| data.add(value));
            assert_eq!(data.get::<u32>(), Some(&4_999));
        };
        let thread = std::thread::Builder::new().stack_size(128 << 10).spawn(fill_and_drop);
        thread.expect("a thread").join().expect("it ends");
    }
}
