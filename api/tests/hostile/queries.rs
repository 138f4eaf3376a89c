//! Questions in SQL that would take the memory, the stack or the threads of the process.
