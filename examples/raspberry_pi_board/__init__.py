"""A lab's board: the link served by a Raspberry Pi, the chip behind its SPI and two GPIO pins."""
