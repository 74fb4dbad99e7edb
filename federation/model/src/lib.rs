//! The language of the federation: ids, time, money, resources, objects, jobs, commands, events.
