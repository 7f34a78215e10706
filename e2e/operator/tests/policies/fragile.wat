;; A policy to which all settings are the defaults. Of a request with `trap!` in it, it traps; of one with `loop!` in it, it does not
;; end; for every other it renders one ConfigMap.
(module
  (import "wapc" "__guest_request" (func $request (param $operation i32) (param $payload i32)))
  (import "wapc" "__guest_response" (func $respond (param $from i32) (param $length i32)))
  (memory (export "memory") 64)
  ;; The request lies behind these, from 65536.
  (data (i32.const 1024) "trap!loop!")
  (data (i32.const 2048)
    "{\22diagnostics\22:[],\22host\22:{\22instance\22:\22telewarden\22,\22annotation\22:"
    "\22telegraf.influxdata.com/rubin-telegraf-operator\22,\22annotationPrefixes\22:[\22t"
    "elegraf.influxdata.com/\22],\22topology\22:\22application\22,\22standaloneNamespace"
    "\22:\22telegraf\22,\22applications\22:true,\22namespaces\22:true,\22argocdNamespace"
    "\22:\22argocd\22,\22applicationNamespaces\22:[\22argocd\22],\22kinds\22:[]}}")
  (data (i32.const 4096)
    "{\22protocol\22:1,\22diagnostics\22:[],\22sources\22:[{\22index\22:0,\22source\22:\22argoproj."
    "io/Application/argocd/good\22,\22outcome\22:\22rendered\22,\22namespace\22:\22good\22,\22obj"
    "ects\22:[{\22apiVersion\22:\22v1\22,\22kind\22:\22ConfigMap\22,\22metadata\22:{\22name\22:\22telegra"
    "f-good\22,\22namespace\22:\22good\22,\22labels\22:{\22app.kubernetes.io/managed-by\22:\22tel"
    "ewarden\22,\22telegraf.influxdata.com/instance\22:\22telewarden\22},\22annotations\22:"
    "{\22telegraf.influxdata.com/source\22:\22argoproj.io/Application/argocd/good\22}"
    "},\22data\22:{\22fragile\22:\22yes\22}}]}]}")

  ;; Whether the request has the five bytes at $word in it.
  (func $has (param $word i32) (param $length i32) (result i32)
    (local $at i32) (local $i i32)
    (block $end (loop $next
      (br_if $end (i32.gt_s (i32.add (local.get $at) (i32.const 5)) (local.get $length)))
      (local.set $i (i32.const 0))
      (block $differs (loop $same
        (br_if $differs (i32.ne
          (i32.load8_u (i32.add (local.get $word) (local.get $i)))
          (i32.load8_u (i32.add (i32.const 65536) (i32.add (local.get $at) (local.get $i))))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $same (i32.lt_s (local.get $i) (i32.const 5)))
        (return (i32.const 1))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $next)))
    (i32.const 0))

  (func (export "__guest_call") (param $operation i32) (param $payload i32) (result i32)
    (call $request (i32.const 0) (i32.const 65536))
    ;; The operation is `render`, or longer: `settings`.
    (if (i32.ne (local.get $operation) (i32.const 6))
      (then (call $respond (i32.const 2048) (i32.const 333)) (return (i32.const 1))))
    (if (call $has (i32.const 1024) (local.get $payload)) (then unreachable))
    (if (call $has (i32.const 1029) (local.get $payload)) (then (loop $for_ever (br $for_ever))))
    (call $respond (i32.const 4096) (i32.const 463))
    (i32.const 1)))
