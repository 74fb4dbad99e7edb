output "intent" {
  description = "The tag of what was made."
  value       = terraform_data.member.input.intent
}

output "folder" {
  description = "Where the member's state and log lie."
  value       = "${var.root}/${var.pool}/${var.intent}"
}
