"""The long-lived process: it looks, mends what may be mended, and never decides who serves."""
