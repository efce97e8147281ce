use std::{
    any::{Any, TypeId},
    fmt,
    sync::Arc,
};

/// One value of each type, added by layers and looked up by type.
///
/// Cheap to clone: clones share the values. One pointer wide, and holds no memory while it is empty.
/// A look-up searches from front to back, because there are few values.
#[derive(Clone, Default)]
pub struct Extensions(Option<Arc<Vec<Extension>>>);

type Extension = (TypeId, Arc<dyn Any + Send + Sync>);

// ===== impl Extensions =====

impl Extensions {
    /// An empty map.
    pub const fn new() -> Self {
        Self(None)
    }

    /// Adds a value, and replaces one of the same type.
    pub fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        self.remove::<T>();
        let all = Arc::make_mut(self.0.get_or_insert_default());
        all.push((TypeId::of::<T>(), Arc::new(value)));
    }

    /// The value of this type.
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<&T> {
        let mut all = self.all().iter();
        let (_, value) = all.find(|(id, _)| *id == TypeId::of::<T>())?;
        value.downcast_ref()
    }

    /// Removes the value of this type, and returns whether there was one.
    pub fn remove<T: Send + Sync + 'static>(&mut self) -> bool {
        let of_this_type = |(id, _): &Extension| *id == TypeId::of::<T>();
        let Some(all) = self.0.as_mut().filter(|all| all.iter().any(of_this_type)) else {
            return false;
        };
        Arc::make_mut(all).retain(|extension| !of_this_type(extension));
        true
    }

    /// Whether there is no value.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.all().is_empty()
    }

    fn all(&self) -> &[Extension] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }
}

impl fmt::Debug for Extensions {
    // Shows only the number: the values need not be `Debug`, and some of them are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Extensions({})", self.all().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_of_each_type() {
        let mut extensions = Extensions::new();
        extensions.insert("old");
        extensions.insert(7_u32);
        extensions.insert("new");
        assert_eq!(extensions.get::<&str>(), Some(&"new"));
        assert_eq!(extensions.get::<u32>(), Some(&7));
        assert_eq!(extensions.get::<u64>(), None);
        assert!(extensions.remove::<u32>());
        assert!(!extensions.remove::<u32>());
        assert_eq!(extensions.clone().get::<&str>(), Some(&"new"));
    }
}
