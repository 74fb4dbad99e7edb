# One member of the federation as processes of this machine. Nothing but the built-in `terraform_data`: no provider is
# downloaded. The join token is not a variable, so that it is in no plan and no state: the agent takes it from the
# environment, MUSTER_JOIN_TOKEN.

terraform {
  required_version = ">= 1.5.0"
}

resource "terraform_data" "member" {
  # What `destroy` needs must be here: a destroy-time provisioner sees nothing else.
  input = {
    script  = abspath("${path.module}/member.sh")
    root    = var.root
    pool    = var.pool
    intent  = var.intent
    member  = var.member
    muster  = var.muster
    url     = var.join_url
    pin     = var.ca_pin
    entry   = var.members_entry
    log     = var.log_level
    seconds = tostring(var.stop_seconds)
  }

  provisioner "local-exec" {
    command = "sh \"$${BURST_SCRIPT:-$SCRIPT}\" create"
    environment = {
      SCRIPT        = self.input.script
      BURST_ROOT    = self.input.root
      BURST_POOL    = self.input.pool
      BURST_INTENT  = self.input.intent
      BURST_MEMBER  = self.input.member
      BURST_MUSTER  = self.input.muster
      BURST_URL     = self.input.url
      BURST_PIN     = self.input.pin
      BURST_ENTRY   = self.input.entry
      BURST_SECONDS = self.input.seconds
      MUSTER_LOG    = self.input.log
    }
  }

  provisioner "local-exec" {
    when    = destroy
    command = "sh \"$${BURST_SCRIPT:-$SCRIPT}\" destroy"
    environment = {
      SCRIPT        = self.input.script
      BURST_ROOT    = self.input.root
      BURST_POOL    = self.input.pool
      BURST_INTENT  = self.input.intent
      BURST_SECONDS = self.input.seconds
    }
  }
}
