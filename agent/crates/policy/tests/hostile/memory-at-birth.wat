;; Declares more memory than it may have.
(memory $second 4096)
