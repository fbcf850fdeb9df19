//! The block in which macOS shows what a process was started with (KERN_PROCARGS2) (pure).
//!
//! It holds the number of arguments, the program's path, the arguments, the environment, and strings of the kernel's own for
//! the C library. Each ends with a zero byte; zero bytes fill the path, and the end of the environment, up to a multiple of 8.

/// Arguments and environment, in the form of [`super::environment_block`].
#[derive(Debug, PartialEq, Eq)]
pub struct StartedWith {
    pub arguments: Vec<u8>,
    /// `None`: the system hides it, which it does for a restricted program.
    pub environment: Option<Vec<u8>>,
}

/// `None` where it is no such block.
pub fn parse(block: &[u8]) -> Option<StartedWith> {
    let (count, strings) = block.split_first_chunk::<4>()?;
    let count = usize::try_from(i32::from_ne_bytes(*count)).ok()?;
    let path = strings.iter().position(|&byte| byte == 0)?;
    // A first argument that is empty is told from the filling by its place.
    let aligned = (path + 1).next_multiple_of(8);
    let filled = strings[path..].iter().take_while(|&&byte| byte == 0).count();
    let first = strings.get(aligned.min(path + filled)..)?;
    let end = (0..count).try_fold(0, |start, _| Some(start + string_at(first, start)?.len() + 1))?;
    let (arguments, rest) = first.split_at(end);
    let environment = (!rest.is_empty()).then(|| environment_in(rest).to_vec());
    Some(StartedWith { arguments: arguments.to_vec(), environment })
}

/// The environment's part of what follows the arguments. The filling ends it, or, where nothing is to be filled, the first of
/// the kernel's own strings. Zero bytes precede it where a program has written a shorter title over its arguments.
fn environment_in(rest: &[u8]) -> &[u8] {
    let rest = &rest[rest.iter().take_while(|&&byte| byte == 0).count()..];
    let mut ends = vec![0];
    while let Some(string) = ends.last().and_then(|&start| string_at(rest, start)) {
        if string.is_empty() {
            break;
        }
        if string.starts_with(b"stack_guard=") {
            // These two may precede it.
            let is_kernel_s = |start: usize| {
                let string = string_at(rest, start).unwrap_or_default();
                string == b"MallocNanoZone=1" || string.starts_with(b"pfz=0x")
            };
            while ends.len() > 1 && is_kernel_s(ends[ends.len() - 2]) {
                ends.pop();
            }
            break;
        }
        ends.push(ends[ends.len() - 1] + string.len() + 1);
    }
    &rest[..ends[ends.len() - 1]]
}

/// The string that begins at `start`, without the zero byte that ends it.
fn string_at(text: &[u8], start: usize) -> Option<&[u8]> {
    let text = text.get(start..)?;
    Some(&text[..text.iter().position(|&byte| byte == 0)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block as the kernel writes it.
    fn block(path: &str, arguments: &[&str], environment: Option<&[&str]>) -> Vec<u8> {
        let fill = |text: &mut Vec<u8>| text.resize(text.len().next_multiple_of(8), 0);
        let mut text = format!("{path}\0").into_bytes();
        fill(&mut text);
        arguments.iter().for_each(|argument| text.extend(format!("{argument}\0").bytes()));
        if let Some(environment) = environment {
            environment.iter().for_each(|entry| text.extend(format!("{entry}\0").bytes()));
            fill(&mut text);
            text.extend(b"pfz=0xffeaf000\0MallocNanoZone=1\0stack_guard=0x1\0malloc_entropy=0x2\0\0\0");
        }
        [&i32::try_from(arguments.len()).unwrap().to_ne_bytes()[..], &text].concat()
    }

    #[test]
    fn what_a_process_was_started_with() {
        let joined =
            |entries: &[&str]| -> Vec<u8> { entries.iter().flat_map(|it| format!("{it}\0").into_bytes()).collect() };
        for (path, arguments, environment) in [
            ("/bin/x", &["x"][..], Some(&["A=1", "B=2"][..])),
            // Nothing is filled, neither after the path nor after the environment.
            ("/bin/xy", &["xyz"], Some(&["A=1"])),
            ("/bin/x y, z", &["x y", "a, b", "", "ä\n"], Some(&["A=b c", "PATH=/a b:/c"])),
            ("/bin/x", &["", "a"], Some(&["A=1"])),
            ("/bin/x", &["x"], Some(&[])),
            ("/bin/x", &[], Some(&["A=1"])),
            ("/bin/x", &["x", ""], None),
        ] {
            let parsed = parse(&block(path, arguments, environment));
            let expected = StartedWith { arguments: joined(arguments), environment: environment.map(joined) };
            assert_eq!(parsed, Some(expected), "{path} {arguments:?} {environment:?}");
        }
    }

    #[test]
    fn a_title_over_the_arguments_does_not_hide_the_environment() {
        let mut block = block("/usr/bin/node", &["node", "/opt/cli.js", "-p"], Some(&["A=1"]));
        // The number and the path take 20 bytes, and the arguments as many.
        let arguments = &mut block[20..40];
        assert_eq!(arguments, b"node\0/opt/cli.js\0-p\0");
        arguments.fill(0);
        arguments[..6].copy_from_slice(b"claude");
        let parsed = parse(&block).unwrap();
        assert_eq!(
            (parsed.arguments.as_slice(), parsed.environment.as_deref()),
            (&b"claude\0\0\0"[..], Some(&b"A=1\0"[..]))
        );
    }

    #[test]
    fn what_is_no_such_block_says_nothing() {
        let whole = block("/bin/x", &["x", "y"], None);
        assert!(parse(&whole).is_some());
        for end in 0..whole.len() {
            assert_eq!(parse(&whole[..end]), None, "{end}");
        }
        assert_eq!(parse(&[&(-1_i32).to_ne_bytes()[..], b"/bin/x\0\0x\0"].concat()), None);
        assert_eq!(parse(&[&i32::MAX.to_ne_bytes()[..], b"/bin/x\0\0x\0"].concat()), None);
    }
}
