# `terraform test`: no hub and no agent, only what the module itself promises. In a folder of its
# own each time, since what was destroyed is never made again:
#
#   TF_VAR_root=$(mktemp -d) terraform test

variables {
  intent        = "00000000000000aa"
  pool          = "tested"
  member        = "tested-00000000"
  join_url      = "https://127.0.0.1:1"
  ca_pin        = "sha256:00"
  members_entry = "{\"name\": \"$${not} an %%{expression}\"}"
  muster        = "/bin/true"
  stop_seconds  = 1
}

run "makes_what_is_tagged" {
  assert {
    condition     = output.folder == "${var.root}/tested/00000000000000aa"
    error_message = "The folder must be named after pool and intent."
  }
  assert {
    condition     = file("${output.folder}/member.json") == var.members_entry
    error_message = "The entry must arrive as it is."
  }
}

run "may_be_repeated" {
  command = plan
  assert {
    condition     = output.intent == var.intent
    error_message = "A second plan must change nothing."
  }
}

run "refuses_a_wrong_intent" {
  command = plan
  variables {
    intent = "not a number"
  }
  expect_failures = [var.intent]
}

run "refuses_a_relative_root" {
  command = plan
  variables {
    root = "here"
  }
  expect_failures = [var.root]
}
