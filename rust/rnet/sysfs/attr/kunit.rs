// SPDX-License-Identifier: GPL-2.0

//! What files show and take, without a file.

#[kernel::prelude::kunit_tests(rnet_sysfs)]
mod tests {
    use super::super::*;

    fn input(bytes: &[u8]) -> Input<'_> {
        Input { bytes, dev: None }
    }

    #[test]
    fn page_takes_what_fits() {
        let mut buf = [0u8; 8];
        let mut page = Page {
            buf: &mut buf,
            len: 0,
            dev: None,
        };
        assert!(page.emit(fmt!("{}\n", 1234567)).is_ok());
        assert_eq!(page.len, 8);
        assert!(page.emit(fmt!("")).is_ok());
        assert!(page.emit(fmt!("x")) == Err(EFBIG));
        assert_eq!(page.len, 8);
        assert!(page.buf == b"1234567\n");
    }

    #[test]
    fn page_is_cut_by_no_half_number() {
        let mut buf = [0u8; 4];
        let mut page = Page {
            buf: &mut buf,
            len: 0,
            dev: None,
        };
        assert!(page.emit(fmt!("{}", 12345)) == Err(EFBIG));
        assert_eq!(page.len, 0);
    }

    #[test]
    fn truth_values() {
        for yes in [&b"1"[..], b"y", b"Y", b"t", b"T", b"on", b"ON", b"On"] {
            assert!(input(yes).bool() == Ok(true));
        }
        for no in [&b"0"[..], b"n", b"N", b"f", b"F", b"off", b"OFF"] {
            assert!(input(no).bool() == Ok(false));
        }
        for bad in [
            &b""[..],
            b"2",
            b"-1",
            b"10",
            b"01",
            b"1 ",
            b" 1",
            b"true",
            b"yes",
            b"o",
            b"of",
            b"offf",
            b"\0",
            b"1\0",
            b"\n",
        ] {
            assert!(input(bad).bool() == Err(EINVAL));
        }
    }

    #[test]
    fn numbers() {
        assert!(input(b"0").number::<u8>() == Ok(0));
        assert!(input(b"255").number::<u8>() == Ok(255));
        assert!(input(b"0xff").number::<u8>() == Ok(255));
        assert!(input(b"-128").number::<i8>() == Ok(-128));
        assert!(input(b"256").number::<u8>() == Err(EINVAL));
        for bad in [&b""[..], b"x", b"1 2", b"0x", b"--1"] {
            assert!(input(bad).number::<i32>() == Err(EINVAL));
        }
        assert!(input(b"18446744073709551615").number::<u64>() == Ok(u64::MAX));
        assert!(input(b"18446744073709551616").number::<u64>() == Err(EINVAL));
    }

    #[test]
    fn modes() {
        fn show(_: &(), _: &mut Page<'_>) -> Result {
            Ok(())
        }
        assert_eq!(Attribute::ro(c"a", show).mode, 0o444);
        assert_eq!(Attribute::ro(c"a", show).mode(0o400).mode, 0o400);
        // What sysfs refuses is left out: writing for others, and all execution.
        assert_eq!(Attribute::ro(c"a", show).mode(0o777).mode, 0o664);
    }
}
