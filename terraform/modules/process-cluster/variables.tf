# Set by the hub.

variable "intent" {
  description = "Number of the intent: the tag of everything that is made here."
  type        = string
  validation {
    condition     = can(regex("^[0-9a-f]{16}$", var.intent))
    error_message = "intent must be 16 hexadecimal digits."
  }
}

variable "pool" {
  description = "Name of the burst pool."
  type        = string
  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]*$", var.pool))
    error_message = "pool must be a name of lower case letters, digits and hyphens."
  }
}

variable "member" {
  description = "Name that the member has in the federation."
  type        = string
  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]*$", var.member))
    error_message = "member must be a name of lower case letters, digits and hyphens."
  }
}

variable "join_url" {
  description = "Where the member joins: addresses of the hub's agents ports, separated by commas."
  type        = string
}

variable "ca_pin" {
  description = "What the hub's authority is known by: sha256:HEX."
  type        = string
}

variable "members_entry" {
  description = "What the member is and has: one entry of a members file, as JSON."
  type        = string
}

variable "muster" {
  description = "Path of the executable `muster`."
  type        = string
}

# Set by the pool, in spec.variables.

variable "root" {
  description = "Folder below which members keep their state."
  type        = string
  validation {
    condition     = startswith(var.root, "/")
    error_message = "root must be an absolute path, such as /var/lib/muster/burst."
  }
}

variable "log_level" {
  description = "Log level of the agent: error, warn, info, debug or trace."
  type        = string
  default     = "info"
}

variable "stop_seconds" {
  description = "How long the agent may take to stop what it runs and end, before it is killed."
  type        = number
  default     = 15
}
