//! Pseudorandom numbers that are the same in every run.

/// A xorshift of 64 bits.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A new sequence.
    #[expect(
        clippy::new_without_default,
        reason = "a default would not say that it is the same every time"
    )]
    pub fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    /// A number below a limit.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
