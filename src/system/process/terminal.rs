//! The two ends of a pseudo-terminal, as device numbers of macOS (pure).

/// A device number: 8 bits for the driver, 24 for the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device(pub u32);

impl Device {
    /// `NODEV` stands for none.
    pub fn is_some(self) -> bool {
        self.0 != u32::MAX
    }

    fn driver(self) -> u32 {
        self.0 >> 24
    }

    fn number(self) -> u32 {
        self.0 & 0x00ff_ffff
    }
}

/// Whether `device` is the terminal program's end of `terminal`. Both ends have the same number; `ends` has the driver of the
/// terminal programs' ends.
pub fn is_other_end(device: Device, terminal: Device, ends: Device) -> bool {
    terminal.is_some() && device.driver() == ends.driver() && device.number() == terminal.number()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_end_has_the_same_number_and_another_driver() {
        let device = |driver: u32, number: u32| Device(driver << 24 | number);
        let (terminal, ends) = (device(16, 3), device(15, 77));
        for (other, expected) in [
            (device(15, 3), true),
            (device(15, 4), false),
            (terminal, false),
            (device(3, 3), false),
            (Device(u32::MAX), false),
        ] {
            assert_eq!(is_other_end(other, terminal, ends), expected, "{other:?}");
        }
        assert!(!is_other_end(device(15, 0x00ff_ffff), Device(u32::MAX), ends), "no terminal");
    }
}
