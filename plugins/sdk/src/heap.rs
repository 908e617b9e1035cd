//! Memory for one call. Backstop asks every question of a fresh instance and throws it away afterwards, so memory is handed
//! out in a row and, except for what was handed out last, never taken back: faster, and smaller by the 5 KB of an
//! allocator that would keep books. What a call hands out in all must fit the policy's limit, 64 MiB by default.
#![allow(unsafe_code)] // an allocator is nothing else; components have one thread, so its two numbers need no lock

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32::{memory_grow, memory_size};
use core::cell::Cell;
use core::ptr;

const PAGE: usize = 65_536;

struct Heap {
    /// Where the next piece begins; 0 before the first.
    next: Cell<usize>,
    /// Where memory ends.
    end: Cell<usize>,
}

// SAFETY: a component has one thread.
unsafe impl Sync for Heap {}

#[global_allocator]
static HEAP: Heap = Heap { next: Cell::new(0), end: Cell::new(0) };

unsafe extern "C" {
    /// Where the linker's own data ends.
    static __heap_base: u8;
}

impl Heap {
    /// Makes room up to an address. Asks for an eighth more than there is, so that it seldom asks.
    fn reach(&self, end: usize) -> bool {
        if end <= self.end.get() {
            return true;
        }
        let pages = (end - self.end.get()).div_ceil(PAGE);
        let generous = pages.max(memory_size(0) / 8);
        let grown = [generous, pages].into_iter().find(|pages| memory_grow(0, *pages) != usize::MAX);
        self.end.set(memory_size(0) * PAGE);
        grown.is_some()
    }

    fn start(&self) -> usize {
        if self.next.get() == 0 {
            self.next.set(&raw const __heap_base as usize);
            self.end.set(memory_size(0) * PAGE);
        }
        self.next.get()
    }
}

// SAFETY: pieces lie between `__heap_base` and the end of memory, aligned, and never overlap: `next` goes back only over
// the piece that ends there.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let begin = self.start().next_multiple_of(layout.align());
        match begin.checked_add(layout.size()) {
            Some(end) if self.reach(end) => {
                self.next.set(end);
                begin as *mut u8
            }
            _ => ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        if piece as usize + layout.size() == self.next.get() {
            self.next.set(piece as usize);
        }
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let begin = piece as usize;
        if begin + layout.size() == self.next.get() {
            return match begin.checked_add(size) {
                Some(end) if self.reach(end) => {
                    self.next.set(end);
                    piece
                }
                _ => ptr::null_mut(),
            };
        }
        if size <= layout.size() {
            return piece;
        }
        // SAFETY: `size` is more than a valid layout's, and the caller promises that it does not overflow with the alignment.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                ptr::copy_nonoverlapping(piece, moved, layout.size());
            }
            moved
        }
    }
}
