package account

// MostProgress is of how many jobs the progress is told at most.
const MostProgress = 200
