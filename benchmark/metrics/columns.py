"""What the columns of the table of runs mean, those of the metrics apart, which no metric may be called by."""

OF_RUNS = {
    "run_id": "what the run is called in its folder, with a hash of all that changes its numbers; empty of a run that "
    "was never planned",
    "dataset": "the data set's heading, which no two data sets share: its name and, where others have it too, how it "
    "differs from them",
    "dataset_name": "the data set's name alone",
    "pair": "teacher_student",
    "teacher": "architecture of the teacher",
    "student": "architecture of the student",
    "method": "the distillation method, with options and control where they are not the usual ones; `student` learns "
    "from labels alone",
    "seed": "of initial weights, batches, augmentation: the same for all methods",
    "status": "done, diverged or not_applicable, as recorded; failed, missing or stale (of an older revision) for one "
    "without a result",
    "reason": "why it has no result",
    "pooled": "whether it is done and the runs of its cell were made alike, so that means may be taken over it",
    "diverged_epoch": "in which the loss was not finite",
}
"""Names and meanings, those of the metrics apart."""

OF_RESULTS = {
    "relations_version": "of the measures that compare embeddings with the teacher's, never two in one table: 1, of a "
    "stratified sample of test images; empty, of the first 500",
    "train_top1": "training accuracy of the last epoch, a share",
    "train_loss": "training loss of the last epoch, the method's own terms included",
    "test_images": "images that the test measures are over",
    "test_duplicates": "test images whose pixels equal a training image's",
    "data_sha256": "hash of the images",
    "weights_sha256": "hash of the student's final weights",
    "predictions_sha256": "hash of the file of what the student says of the test images, kept or not",
    "teacher_id": "run id of the teacher",
    "teacher_seed": "the teacher's own seed",
    "teacher_weights_sha256": "hash of the teacher's weights",
    "teacher_top1": "the teacher's test accuracy, a share",
    "parameters": "of the deployed student",
    "macs": "multiply-accumulates of one image through it",
    "teacher_parameters": "of the teacher",
    "teacher_macs": "multiply-accumulates of one image through the teacher",
    "training_flops": "two for each multiply-accumulate of every step, the teacher's forward included",
    "student_seconds": "device seconds of the run's own steps, among `cohort_size` runs trained together",
    "teacher_seconds": "of the teacher's forward, spent once for all of them",
    "cohort_seconds": "of all of them by the wall clock",
    "cohort_size": "runs that were trained together",
    "peak_memory_bytes": "of all of them together",
    "device": "what trained the run",
    "latency_seconds": "of one image through the deployed student, measured alone on `measured_on`",
    "memory_bytes": "peak of a training step, measured alone",
    "alone_seconds": "of the whole training, from steps measured alone",
    "energy_joules": "of the whole training, from steps measured alone, where the device counts it",
    "measured_on": "device and threads of these four; empty where nothing was measured",
    "epochs": "of the main schedule",
    "teacher_epochs": "of the teacher's; 0 of a network that is used as it came",
    "shuffled": "whether the teacher's outputs were shuffled (a control)",
    "protocol": "revision of the training protocol",
    "whole_dataset": "whether all of its training and test images are used",
    "dataset_hash": "of the data set's description; runs that agree in this and the next four were trained alike",
    "student_hash": "of the student's architecture",
    "recipe_hash": "of everything about training that changes numbers",
    "uncosted_recipe_hash": "the same but for what a budget shows: how long, and in which precision",
    "teacher_hash": "of the teacher and its recipe, its seed left out",
    "options": "of the method, as JSON",
    "method_hash": "of the method, its options and its revision",
    "stale": "why the run is of an older revision, empty where it is not",
}

TAKEN = {**OF_RUNS, **OF_RESULTS, "measures": "where a record has the metrics without a field of their own"}
"""Names that stand for something else, and what for."""
