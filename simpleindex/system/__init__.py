"""Files and the operating system: stamps, atomic writes, followed files, descriptors, and what its errors mean."""
