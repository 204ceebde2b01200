export { AlertBoard, type Alert, type Severity } from './alert-board.ts'
