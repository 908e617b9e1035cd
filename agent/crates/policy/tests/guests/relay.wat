;; An alert sink for tests: puts the URL together from its settings, in order. The value of a key that begins with `t` is
;; text, that of one that begins with `s` the name of a secret. The receipt's id is `ok` or `no`, its note the body or the
;; failure's message. The note is logged too.
(import "backstop:policy/http@1.0.0" "send" (func $send (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
(data (i32.const 1024) "POST")
(data (i32.const 1032) "ok")
(data (i32.const 1034) "no")
(func (export "deliver") (param $question i32) (result i32)
  (local $field i32) (local $left i32) (local $part i32) (local $parts i32) (local $sends i32)
  (local.set $field (i32.load offset=8 (local.get $question)))
  (local.set $left (i32.load offset=12 (local.get $question)))
  (local.set $parts (local.get $left))
  (local.set $part (i32.const 2048))
  (block $done
    (loop $each
      (br_if $done (i32.eqz (local.get $left)))
      (i32.store8 (local.get $part)
        (i32.eq (i32.load8_u (i32.load (local.get $field))) (i32.const 115)))
      (i32.store offset=4 (local.get $part) (i32.load offset=16 (local.get $field)))
      (i32.store offset=8 (local.get $part) (i32.load offset=20 (local.get $field)))
      (local.set $part (i32.add (local.get $part) (i32.const 12)))
      (local.set $field (i32.add (local.get $field) (i32.const 24)))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br $each)))
  (local.set $sends (i32.const 1))
  (loop $again
    (call $send (i32.const 1024) (i32.const 4) (i32.const 2048) (local.get $parts) (i32.const 0) (i32.const 0)
      (i32.const 0) (i32.const 0) (i32.const 30000) (i32.const 512))
    (if (i32.load8_u (i32.const 512))
      (then
        (i32.store (i32.const 68) (i32.const 1034))
        (i32.store (i32.const 76) (i32.load (i32.const 520)))
        (i32.store (i32.const 80) (i32.load (i32.const 524))))
      (else
        (i32.store (i32.const 68) (i32.const 1032))
        (i32.store (i32.const 76) (i32.load (i32.const 528)))
        (i32.store (i32.const 80) (i32.load (i32.const 532)))))
    (call $log (i32.const 1) (i32.load (i32.const 76)) (i32.load (i32.const 80)))
    (br_if $again (local.tee $sends (i32.sub (local.get $sends) (i32.const 1)))))
  (i32.store (i32.const 72) (i32.const 2))
  (i32.const 64))
