"""What `deployctl demo` shows: an application, its visitors, and images made without builder or registry."""
