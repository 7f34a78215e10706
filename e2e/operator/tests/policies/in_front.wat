  ;; Put in front of a policy: what does not end when the request has `loop!` in it. Everything else the policy answers.
  ;; `$guest_request` and `$guest_call` are the policy's own.
  (func (export "__guest_call") (param $operation i32) (param $payload i32) (result i32)
    (local $name i32) (local $at i32) (local $end i32)
    ;; The policy knows nothing of these pages: one for the operation's name, and 31 for the payload.
    (local.set $name (i32.shl (memory.grow (i32.const 32)) (i32.const 16)))
    (local.set $at (i32.add (local.get $name) (i32.const 65536)))
    (local.set $end (i32.add (local.get $at) (local.get $payload)))
    (call $guest_request (local.get $name) (local.get $at))
    (loop $next
      (if (i32.and
            (i32.eq (i32.load align=1 (local.get $at)) (i32.const 0x706f6f6c)) ;; loop
            (i32.eq (i32.load8_u offset=4 (local.get $at)) (i32.const 0x21)))  ;; !
        (then (loop $for_ever (br $for_ever))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
    (call $guest_call (local.get $operation) (local.get $payload)))
