"""All that knows Paddle and pixels; imports nothing of service/."""
