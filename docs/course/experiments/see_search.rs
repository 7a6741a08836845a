//! How many bytes a server looks at when a head comes in pieces: if it searches from the start each time, and if it
//! remembers how far it has searched. No socket is needed to see that.
//!
//!     cargo run -q --bin see_search

const END: &[u8] = b"\r\n\r\n";

/// Looks for the end of the head from `from` on. Adds the places that were looked at to `looks`.
fn search(input: &[u8], from: usize, looks: &mut usize) -> Option<usize> {
    (from..(input.len() + 1).saturating_sub(END.len())).find(|&at| {
        *looks += 1;
        input[at..].starts_with(END)
    })
}

/// Brings a head in pieces of this size. Returns how often a place was looked at.
fn cost(head: &[u8], size: usize, remembers: bool) -> usize {
    let (mut looks, mut searched) = (0, 0);
    let mut came = 0;
    loop {
        came = head.len().min(came + size);
        let from = if remembers { usize::saturating_sub(searched, 3) } else { 0 };
        if search(&head[..came], from, &mut looks).is_some() {
            return looks;
        }
        searched = came;
    }
}

fn main() {
    let line = format!("Cookie: {}\r\n\r\n", "x".repeat(7_970));
    let head = format!("GET / HTTP/1.1\r\n{line}");
    println!("a head of {} bytes", head.len());
    println!("{:>14} {:>22} {:>12}", "pieces of", "from the start, looks", "remembered");
    for size in [head.len(), 1460, 100, 1] {
        let (again, once) = (cost(head.as_bytes(), size, false), cost(head.as_bytes(), size, true));
        println!("{size:>8} bytes {again:>22} {once:>12}");
    }
}
