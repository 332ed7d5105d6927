"""What `deployctl demo` shows: an application, its visitors, and images built without builder or registry."""
