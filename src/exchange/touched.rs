use std::ops::{Deref, DerefMut};

/// A value that is nearly always the default. It remembers whether it was borrowed mutably. If it was not, there is
/// nothing to reset.
#[derive(Debug, Default)]
pub(super) struct Touched<T> {
    value: T,
    touched: bool,
}

impl<T: Default> Touched<T> {
    /// Whether the value may differ from the default.
    #[inline]
    pub(super) const fn is_touched(&self) -> bool {
        self.touched
    }

    /// Makes the value count as changed.
    pub(super) const fn touch(&mut self) {
        self.touched = true;
    }

    /// Sets the value to the default.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

impl<T> Deref for Touched<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Touched<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.touched = true;
        &mut self.value
    }
}
